// Package shape holds healthy services whose memory a careless detector calls a leak.
package shape

import (
	"context"
	"flag"
	"net/http"
	"time"

	"story/internal/debugserver"
	"story/internal/options"
	"story/internal/serving"
)

// tick is how often a shape does its share of work.
const tick = 50 * time.Millisecond

// service is what all shapes share: probes, metrics, pprof and a loop that makes the shape.
type service struct {
	flags      *flag.FlagSet
	listen     *string
	debug      *string
	drainDelay *time.Duration
}

func newService(name string) *service {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	return &service{
		flags:      flags,
		listen:     flags.String("listen", ":8080", "address of /healthz, /readyz and /metrics"),
		debug:      debugserver.Flag(flags),
		drainDelay: serving.DrainFlag(flags),
	}
}

// run serves and calls step every tick until the context ends.
func (s *service) run(ctx context.Context, step func()) error {
	if err := debugserver.Start(*s.debug, nil); err != nil {
		return err
	}
	server := serving.New(*s.listen, *s.drainDelay)
	mux := http.NewServeMux()
	server.RegisterProbes(mux)
	go every(ctx, tick, step)
	return server.Run(ctx, mux)
}

// every makes up for ticks that a busy machine lost, so that the shape depends on time alone.
func every(ctx context.Context, period time.Duration, step func()) {
	start := time.Now()
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for done := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due := int(time.Since(start) / period); done < due; done++ {
			step()
		}
	}
}

// positive checks flags that must be greater than zero.
func positive(values map[string]int) error {
	for name, value := range values {
		if value <= 0 {
			return options.Invalid(name, value, "more than 0 is needed")
		}
	}
	return nil
}

// resident is memory that was written to: untouched pages of a fresh heap cost nothing.
func resident(bytes int) []byte {
	block := make([]byte, bytes)
	for i := 0; i < len(block); i += 512 {
		block[i] = 1
	}
	return block
}
