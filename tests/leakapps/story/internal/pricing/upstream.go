package pricing

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"story/internal/debugserver"
	"story/internal/options"
	"story/internal/serving"
)

// idleTimeout frees the upstream of connections that its clients forgot: the leak is the client's alone.
const idleTimeout = 15 * time.Second

// Handler answers GET /quotes/{user} with a total in a header and the rules that made it in the body.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /quotes/{user}", func(w http.ResponseWriter, r *http.Request) {
		quote := quoteFor(r.PathValue("user"))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(totalHeader, strconv.Itoa(quote.Cents))
		_ = json.NewEncoder(w).Encode(quote)
	})
	return mux
}

func quoteFor(user string) Quote {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(user))
	quote := Quote{User: user, Cents: 100 + int(hash.Sum32()%100_000)}
	for number := range 8 {
		quote.Rules = append(quote.Rules, fmt.Sprintf("rule-%d%s", number, strings.Repeat("-applied", 4)))
	}
	return quote
}

// StartLoopback serves quotes on a free loopback port until the process ends, and gives their base URL.
func StartLoopback() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for quotes: %w", err)
	}
	server := &http.Server{Handler: Handler(), IdleTimeout: idleTimeout, ReadHeaderTimeout: idleTimeout}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

// RunUpstream is the `upstream` command.
func RunUpstream(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ContinueOnError)
	address := flags.String("listen", ":8080", "address of quotes, /healthz, /readyz and /metrics")
	debug := debugserver.Flag(flags)
	drainDelay := serving.DrainFlag(flags)
	if err := options.Parse(flags, arguments); err != nil {
		return err
	}
	server := serving.New(*address, *drainDelay)
	server.IdleTimeout = idleTimeout
	mux := http.NewServeMux()
	server.RegisterProbes(mux)
	mux.Handle("/", Handler())
	if err := debugserver.Start(*debug, nil); err != nil {
		return err
	}
	return server.Run(ctx, mux)
}
