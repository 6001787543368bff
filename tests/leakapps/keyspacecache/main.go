// Innocent: a cache without any eviction, but with a bounded number of keys; full, it stays as it is.
package main

import (
	"strconv"

	"bilgepump.dev/leakapps/harness"
)

var pages = map[string][]byte{}

func render(key string) []byte {
	if found, ok := pages[key]; ok {
		return found
	}
	made := make([]byte, 2<<10)
	pages[key] = made
	return made
}

func main() {
	harness.Serve(func(i int) { render("/product/" + strconv.Itoa(i%20000)) }, func() int64 { return 0 })
}
