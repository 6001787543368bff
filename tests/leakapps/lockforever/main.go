// An early return forgets to unlock; everybody after it waits for ever, holding what they brought.
package main

import (
	"sync"

	"bilgepump.dev/leakapps/harness"
)

type ledger struct {
	mu      sync.Mutex
	entries map[int][]byte
}

func (l *ledger) post(account int, entry []byte) {
	l.mu.Lock()
	if _, exists := l.entries[account]; exists {
		return
	}
	l.entries[account] = entry
	l.mu.Unlock()
}

func main() {
	books := &ledger{entries: map[int][]byte{}}
	units := int64(0)
	harness.Serve(func(i int) {
		go func() { books.post(i%2, make([]byte, 2<<10)) }()
		units++
	}, func() int64 { return units * 2 << 10 })
}
