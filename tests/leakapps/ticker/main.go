// Every watched file gets a ticker and a goroutine; neither is stopped.
package main

import (
	"time"

	"bilgepump.dev/leakapps/harness"
)

type watcher struct {
	name string
	seen [1024]byte
}

func (w *watcher) poll() {
	ticker := time.NewTicker(time.Hour)
	for range ticker.C {
		w.seen[0]++
	}
}

func watch(name string) { go (&watcher{name: name}).poll() }

func main() {
	units := int64(0)
	harness.Serve(func(int) { watch("config"); units++ }, func() int64 { return units * (1152 + 3*112) })
}
