// Package load is a bounded load generator that behaves like a client behind a Service.
package load

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"story/internal/options"
)

const (
	mostDuration = 2 * time.Hour
	mostRate     = 1000.0
)

// Plan is what to send.
type Plan struct {
	Target                string
	Method                string
	RequestsPerSecond     float64
	Duration              time.Duration
	Requests              int
	Users                 int
	Workers               int
	RequestsPerConnection int
	Timeout               time.Duration
}

// Run is the `load` command: one JSON line a second and a summary, on standard output.
func Run(ctx context.Context, arguments []string) error {
	plan, err := parse(arguments)
	if err != nil {
		return err
	}
	return Drive(ctx, plan, os.Stdout)
}

func parse(arguments []string) (Plan, error) {
	var p Plan
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&p.Target, "target", "", "base URL; default: the Service of -target-service")
	service := flags.String("target-service", "api", "the Service to drive, found by the variables of the kubelet")
	flags.StringVar(&p.Method, "method", "POST", "POST or GET")
	flags.Float64Var(&p.RequestsPerSecond, "rps", 60, "requests a second in all")
	flags.DurationVar(&p.Duration, "duration", 10*time.Minute, "stop after this long")
	flags.IntVar(&p.Requests, "requests", 0, "stop after this many requests; 0: only -duration stops")
	flags.IntVar(&p.Users, "users", 500, "how many users order in turn")
	flags.IntVar(&p.Workers, "workers", 8, "requests at a time, at most")
	flags.IntVar(&p.RequestsPerConnection, "requests-per-connection", 5, "then a new one, which a Service spreads anew")
	flags.DurationVar(&p.Timeout, "timeout", 5*time.Second, "of one request")
	if err := options.Parse(flags, arguments); err != nil {
		return p, err
	}
	if p.Target == "" {
		p.Target = options.ServiceURL(*service)
	}
	return p, p.check()
}

func (p Plan) check() error {
	target, err := url.Parse(p.Target)
	switch {
	case err != nil, target.Scheme != "http", target.Host == "":
		return options.Invalid("target", fmt.Sprintf("%q", p.Target), "an http:// URL, or the Service's variables, are needed")
	case p.Method != "POST" && p.Method != "GET":
		return options.Invalid("method", p.Method, "POST or GET is needed")
	case !(p.RequestsPerSecond > 0 && p.RequestsPerSecond <= mostRate):
		return options.Invalid("rps", p.RequestsPerSecond, fmt.Sprintf("more than 0 and at most %v is needed", mostRate))
	case p.Duration <= 0 || p.Duration > mostDuration:
		return options.Invalid("duration", p.Duration, fmt.Sprintf("more than 0 and at most %v is needed", mostDuration))
	case p.Requests < 0:
		return options.Invalid("requests", p.Requests, "zero or more is needed")
	case p.Timeout <= 0:
		return options.Invalid("timeout", p.Timeout, "more than 0 is needed")
	}
	for name, value := range map[string]int{
		"users": p.Users, "workers": p.Workers, "requests-per-connection": p.RequestsPerConnection,
	} {
		if value < 1 {
			return options.Invalid(name, value, "1 or more is needed")
		}
	}
	return nil
}

// Drive sends what the plan says until it or the context ends. Requests under way are always awaited.
func Drive(ctx context.Context, plan Plan, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, plan.Duration)
	defer cancel()
	tally := newTally(time.Now())
	users := make(chan string, plan.Workers)
	var workers sync.WaitGroup
	for range plan.Workers {
		workers.Go(func() { newClient(plan, tally).work(users) })
	}
	lines := json.NewEncoder(out)
	reported := make(chan error, 1)
	paced := make(chan struct{})
	go func() { reported <- report(lines, tally, paced) }()
	pace(ctx, plan, users, tally)
	close(users)
	workers.Wait()
	close(paced)
	if err := <-reported; err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return lines.Encode(tally.summary(time.Now(), plan))
}

// pace hands out users on an open-loop schedule: a slow service does not slow the clock, what nobody can take is skipped.
func pace(ctx context.Context, plan Plan, users chan<- string, tally *tally) {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for number := 0; plan.Requests == 0 || number < plan.Requests; number++ {
		timer.Reset(time.Until(start.Add(time.Duration(float64(number) / plan.RequestsPerSecond * float64(time.Second)))))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case users <- fmt.Sprintf("user-%05d", number%plan.Users):
		default:
			tally.skip()
		}
	}
}

func report(lines *json.Encoder, tally *tally, done <-chan struct{}) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return nil
		case now := <-ticker.C:
			if err := lines.Encode(tally.second(now)); err != nil {
				return err
			}
		}
	}
}
