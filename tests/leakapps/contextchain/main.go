// Wraps the context that it keeps with every event: a list of contexts that only grows.
package main

import (
	"context"
	"strconv"

	"bilgepump.dev/leakapps/harness"
)

type key struct{}

type worker struct{ ctx context.Context }

func (w *worker) step(i int) {
	w.ctx = context.WithValue(w.ctx, key{}, "event-"+strconv.Itoa(i))
}

func main() {
	w := &worker{ctx: context.Background()}
	steps := int64(0)
	harness.Serve(func(i int) { w.step(i); steps++ }, func() int64 { return steps * (48 + 16 + 16) })
}
