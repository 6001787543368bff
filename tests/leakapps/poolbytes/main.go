// Sessions take a bytes.Buffer from a pool, write an answer into it, and stay open with the buffer as large as it got.
package main

import (
	"bytes"
	"sync"

	"bilgepump.dev/leakapps/harness"
)

const answerBytes = 48 << 10

var pool = sync.Pool{New: func() any { return new(bytes.Buffer) }}

type session struct{ out *bytes.Buffer }

var sessions []*session

func open() *session {
	opened := &session{out: pool.Get().(*bytes.Buffer)}
	sessions = append(sessions, opened)
	return opened
}

func (s *session) answer(content []byte) {
	s.out.Reset()
	s.out.Write(content)
}

func main() {
	content := make([]byte, answerBytes)
	harness.Serve(func(int) { open().answer(content) }, func() int64 { return int64(len(sessions)) * answerBytes })
}
