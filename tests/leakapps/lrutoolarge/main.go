// A cache that cannot be made without a bound, given one that memory has no room for.
package main

import (
	"strconv"

	"bilgepump.dev/leakapps/harness"
	lru "github.com/hashicorp/golang-lru/v2"
)

type quote struct{ terms [125]int64 }

var quotes, _ = lru.New[string, *quote](50_000_000)

func quoteFor(sku string) *quote {
	if found, ok := quotes.Get(sku); ok {
		return found
	}
	made := &quote{}
	quotes.Add(sku, made)
	return made
}

func main() {
	units := int64(0)
	harness.Serve(func(i int) {
		quoteFor("sku-" + strconv.Itoa(i))
		units++
	}, func() int64 { return units * (1024 + 150) })
}
