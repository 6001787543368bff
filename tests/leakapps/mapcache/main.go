// A cache that is only ever written to: the key holds a timestamp, so nothing is found twice.
package main

import (
	"fmt"
	"sync"

	"bilgepump.dev/leakapps/harness"
)

type renderCache struct {
	mu    sync.Mutex
	pages map[string][]byte
}

func (c *renderCache) page(key string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.pages[key]; ok {
		return found
	}
	page := make([]byte, 1<<10)
	c.pages[key] = page
	return page
}

func main() {
	cache := &renderCache{pages: map[string][]byte{}}
	units := int64(0)
	harness.Serve(func(i int) {
		cache.page(fmt.Sprintf("/product/%d?at=%d", i%10, i))
		units++
	}, func() int64 { return units * (1<<10 + 24 + 72) })
}
