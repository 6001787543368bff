// Innocent: a large table loaded at start and only read since.
package main

import "bilgepump.dev/leakapps/harness"

type country struct {
	code  string
	rates [512]float64
}

func load() map[int]*country {
	table := make(map[int]*country)
	for i := range 20000 {
		table[i] = &country{code: "XX"}
	}
	return table
}

func main() {
	table := load()
	sum := 0.0
	harness.Serve(func(i int) { sum += table[i%len(table)].rates[0] }, func() int64 { return 0 })
}
