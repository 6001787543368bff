// A cache library without a bound (0 entries means none); what it keeps is made in another function.
package main

import (
	"strconv"

	"bilgepump.dev/leakapps/harness"
	"github.com/golang/groupcache/lru"
)

type pages struct{ cache *lru.Cache }

func (p *pages) get(path string) []byte {
	if found, ok := p.cache.Get(path); ok {
		return found.([]byte)
	}
	page := render(path)
	p.cache.Add(path, page)
	return page
}

func render(path string) []byte {
	page := make([]byte, 1024)
	copy(page, path)
	return page
}

func main() {
	p := &pages{cache: lru.New(0)}
	units := int64(0)
	harness.Serve(func(i int) {
		p.get("/article/" + strconv.Itoa(i))
		units++
	}, func() int64 { return units * (1024 + 250) })
}
