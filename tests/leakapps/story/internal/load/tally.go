package load

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Second is one line of output: what ended within the last second.
type Second struct {
	Time           time.Time      `json:"time"`
	ElapsedSeconds float64        `json:"elapsed_seconds"`
	Sent           int            `json:"sent"`
	OK             int            `json:"ok"`
	Failed         map[string]int `json:"failed"`
	Skipped        int            `json:"skipped"`
	P50Seconds     float64        `json:"p50_seconds"`
	P99Seconds     float64        `json:"p99_seconds"`
}

// Summary is the last line: the same numbers over the whole run.
type Summary struct {
	Summary bool   `json:"summary"`
	Target  string `json:"target"`
	Second
	FailedTotal int               `json:"failed_total"`
	LastErrors  map[string]string `json:"last_errors"`
}

// counts is what happened in a stretch of time; latencies are in seconds.
type counts struct {
	ok, skipped int
	failed      map[string]int
	latencies   []float64
}

type tally struct {
	mu     sync.Mutex
	start  time.Time
	now    counts
	whole  counts
	errors map[string]string
}

func newTally(start time.Time) *tally {
	return &tally{
		start:  start,
		now:    counts{failed: map[string]int{}},
		whole:  counts{failed: map[string]int{}},
		errors: map[string]string{},
	}
}

func (t *tally) add(latency time.Duration, failure string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.latencies = append(t.now.latencies, latency.Seconds())
	if failure == "" {
		t.now.ok++
		return
	}
	t.now.failed[failure]++
	t.errors[failure] = err.Error()
}

func (t *tally) skip() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.skipped++
}

func (t *tally) second(now time.Time) Second {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.now.line(now, t.start)
	t.close()
	return line
}

func (t *tally) summary(now time.Time, plan Plan) Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.close()
	summary := Summary{Summary: true, Target: plan.Target, Second: t.whole.line(now, t.start), LastErrors: maps.Clone(t.errors)}
	for _, number := range t.whole.failed {
		summary.FailedTotal += number
	}
	return summary
}

// close moves the counts of the running second into those of the whole run.
func (t *tally) close() {
	t.whole.ok += t.now.ok
	t.whole.skipped += t.now.skipped
	t.whole.latencies = append(t.whole.latencies, t.now.latencies...)
	for kind, number := range t.now.failed {
		t.whole.failed[kind] += number
	}
	t.now = counts{failed: map[string]int{}}
}

func (c counts) line(now, start time.Time) Second {
	ordered := slices.Sorted(slices.Values(c.latencies))
	return Second{
		Time:           now.UTC(),
		ElapsedSeconds: now.Sub(start).Seconds(),
		Sent:           len(ordered),
		OK:             c.ok,
		Failed:         maps.Clone(c.failed),
		Skipped:        c.skipped,
		P50Seconds:     percentile(ordered, 0.50),
		P99Seconds:     percentile(ordered, 0.99),
	}
}

// percentile is the nearest-rank percentile of ordered values, 0 for none.
func percentile(ordered []float64, share float64) float64 {
	if len(ordered) == 0 {
		return 0
	}
	return ordered[max(0, int(math.Ceil(share*float64(len(ordered))))-1)]
}
