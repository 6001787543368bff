// A reminder per order fires in a day, even when the order is long done: the timer holds the order.
package main

import (
	"time"

	"bilgepump.dev/leakapps/harness"
)

type order struct{ lines [64]int64 }

func (o *order) remind() { o.lines[0]++ }

func place() {
	o := &order{}
	time.AfterFunc(24*time.Hour, o.remind)
}

func main() {
	units := int64(0)
	harness.Serve(func(int) { place(); units++ }, func() int64 { return units * (512 + 112 + 16) })
}
