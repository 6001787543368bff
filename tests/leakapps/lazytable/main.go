// Innocent: a large table that is loaded at its first use, after the baseline, and then only read.
package main

import (
	"strconv"
	"sync"

	"bilgepump.dev/leakapps/harness"
)

var table = sync.OnceValue(func() map[string][]byte {
	rows := map[string][]byte{}
	for i := range 20000 {
		rows[strconv.Itoa(i)] = make([]byte, 1024)
	}
	return rows
})

func main() {
	harness.Serve(func(i int) {
		if i >= 100 {
			_ = table()[strconv.Itoa(i)]
		}
	}, func() int64 { return 0 })
}
