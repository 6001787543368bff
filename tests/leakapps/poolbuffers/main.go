// Connections take their buffer from a pool; one odd large answer after another makes every buffer large.
package main

import (
	"sync"

	"bilgepump.dev/leakapps/harness"
)

type scratch struct{ room []byte }

var pool = sync.Pool{New: func() any { return &scratch{room: make([]byte, 0, 16<<10)} }}

// Connections that are open now: each has a buffer out.
var open []*scratch

func connect() { open = append(open, pool.Get().(*scratch)) }

func main() {
	harness.Serve(func(i int) { connect() }, func() int64 {
		size := int64(0)
		for _, each := range open {
			size += int64(cap(each.room))
		}
		return size
	})
}
