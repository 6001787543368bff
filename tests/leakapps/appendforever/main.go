// An audit trail kept in memory: appended to, never written out, never cut.
package main

import "bilgepump.dev/leakapps/harness"

type event struct {
	at, actor, object, action int64
	before, after             [6]int64
}

type trail struct{ events []event }

func (t *trail) record(i int) {
	t.events = append(t.events, event{at: int64(i)})
}

func main() {
	audit := &trail{}
	harness.Serve(func(i int) { audit.record(i) }, func() int64 { return int64(cap(audit.events)) * 128 })
}
