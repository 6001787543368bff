// Buffers go back to a pool however large one odd response made them; enough are out at once to keep many.
package main

import (
	"bytes"
	"sync"

	"bilgepump.dev/leakapps/harness"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func encode(size int) *bytes.Buffer {
	buffer := buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	line := bytes.Repeat([]byte("x"), 4<<10)
	for buffer.Len() < size {
		buffer.Write(line)
	}
	return buffer
}

func main() {
	retained := int64(0)
	harness.Serve(func(i int) {
		batch := make([]*bytes.Buffer, 0, 64)
		for range 64 {
			batch = append(batch, encode((i%16+1)*(32<<10)))
		}
		retained = 0
		for _, buffer := range batch {
			retained += int64(buffer.Cap())
			buffers.Put(buffer)
		}
	}, func() int64 { return retained })
}
