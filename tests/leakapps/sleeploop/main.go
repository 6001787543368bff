// Every reconnect starts another heartbeat, and none of them ends.
package main

import (
	"time"

	"bilgepump.dev/leakapps/harness"
)

func heartbeat(payload []byte) {
	for {
		payload[0]++
		time.Sleep(time.Minute)
	}
}

func reconnect() { go heartbeat(make([]byte, 2<<10)) }

func main() {
	units := int64(0)
	harness.Serve(func(int) { reconnect(); units++ }, func() int64 { return units * 2 << 10 })
}
