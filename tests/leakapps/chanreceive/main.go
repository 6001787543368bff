// Subscribers wait for messages on a channel that nobody closes when they leave.
package main

import "bilgepump.dev/leakapps/harness"

type subscriber struct {
	inbox   chan string
	history [2048]byte
}

func (s *subscriber) listen() {
	for message := range s.inbox {
		copy(s.history[:], message)
	}
}

func subscribe() *subscriber {
	s := &subscriber{inbox: make(chan string)}
	go s.listen()
	return s
}

func main() {
	units := int64(0)
	harness.Serve(func(int) { subscribe(); units++ }, func() int64 { return units * (2304 + 112) })
}
