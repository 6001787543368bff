// Gives up on a slow answer, but the goroutine that has it can never hand it over.
package main

import (
	"time"

	"bilgepump.dev/leakapps/harness"
)

type report struct{ body []byte }

func render(i int) report {
	return report{body: make([]byte, 4<<10)}
}

func renderWithin(i int, patience time.Duration) (report, bool) {
	answers := make(chan report)
	go func() {
		done := render(i)
		answers <- done
	}()
	select {
	case answer := <-answers:
		return answer, true
	case <-time.After(patience):
		return report{}, false
	}
}

func main() {
	units := int64(0)
	harness.Serve(func(i int) { renderWithin(i, 0); units++ }, func() int64 { return units * 4 << 10 })
}
