// A worker per session selects on two channels of which neither is ever closed.
package main

import "bilgepump.dev/leakapps/harness"

type session struct {
	updates chan int
	stop    chan struct{}
	state   []int
}

func (s *session) run() {
	for {
		select {
		case update := <-s.updates:
			s.state[0] += update
		case <-s.stop:
			return
		}
	}
}

func openSession() *session {
	s := &session{updates: make(chan int), stop: make(chan struct{}), state: make([]int, 256)}
	go s.run()
	return s
}

func main() {
	units := int64(0)
	harness.Serve(func(int) { openSession(); units++ }, func() int64 { return units * (256*8 + 48 + 2*112) })
}
