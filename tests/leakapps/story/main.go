// Command story is every program of the demo in one static binary, so that one image serves all roles.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"story/internal/api"
	"story/internal/load"
	"story/internal/options"
	"story/internal/pricing"
	"story/internal/shape"
)

type command struct {
	about string
	run   func(ctx context.Context, arguments []string) error
}

var commands = map[string]command{
	"api":         {"the story's service: encrypts orders, leaks response bodies and sessions", api.Run},
	"replicaleak": {"the same service, leaking only where -leak-pods matches or /debug/leak/on was posted", api.RunReplicaLeak},
	"upstream":    {"the pricing service that api asks for quotes", pricing.RunUpstream},
	"load":        {"a bounded load generator, one JSON line a second", load.Run},
	"warmup":      {"healthy: fills a bounded cache, then stays flat", shape.RunWarmup},
	"sawtooth":    {"healthy: garbage piles up and is returned to the system, again and again", shape.RunSawtooth},
	"steady":      {"healthy: flat with a little noise", shape.RunSteady},
	"pause":       {"waits for SIGTERM (pod sandbox image)", pause},
}

var order = []string{"api", "replicaleak", "upstream", "load", "warmup", "sawtooth", "steady", "pause"}

func main() {
	if len(os.Args) < 2 {
		usage(os.Stderr)
		os.Exit(2)
	}
	chosen, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "story: unknown command %q\n", os.Args[1])
		usage(os.Stderr)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := chosen.run(ctx, os.Args[2:])
	switch {
	case err == nil, err == flag.ErrHelp:
	case options.IsUsage(err):
		fmt.Fprintf(os.Stderr, "story %s: %v\n", os.Args[1], err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "story %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func usage(out io.Writer) {
	fmt.Fprintln(out, "usage: story COMMAND [flags]   (story COMMAND -h lists a command's flags)")
	for _, name := range order {
		fmt.Fprintf(out, "  %-12s %s\n", name, commands[name].about)
	}
}

func pause(ctx context.Context, _ []string) error {
	<-ctx.Done()
	return nil
}
