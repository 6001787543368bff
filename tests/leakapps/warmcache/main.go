// Innocent: a least-recently-used cache that fills up to its bound and stays there.
package main

import (
	"strconv"

	"bilgepump.dev/leakapps/harness"
	lru "github.com/hashicorp/golang-lru/v2"
)

var pages, _ = lru.New[string, []byte](2000)

func page(key string) []byte {
	if found, ok := pages.Get(key); ok {
		return found
	}
	made := make([]byte, 8<<10)
	pages.Add(key, made)
	return made
}

func main() {
	harness.Serve(func(i int) { page("/product/" + strconv.Itoa(i)) }, func() int64 { return 0 })
}
