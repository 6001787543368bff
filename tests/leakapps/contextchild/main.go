// Derives a cancellable context from a long-lived one and drops the cancel function.
package main

import (
	"context"

	"bilgepump.dev/leakapps/harness"
)

var server, stop = context.WithCancel(context.Background())

//go:noinline
func handle(parent context.Context, i int) error {
	ctx, _ := context.WithCancel(parent)
	return ctx.Err()
}

func main() {
	defer stop()
	units := int64(0)
	harness.Serve(func(i int) { handle(server, i); units++ }, func() int64 { return units * 112 })
}
