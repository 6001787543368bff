// Package serving runs an HTTP server that ends without losing a request, and counts what it answers.
package serving

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// idleTimeout is longer than a sane client keeps an idle connection, so that the client ends it, never a race.
	idleTimeout     = 90 * time.Second
	headerTimeout   = 10 * time.Second
	shutdownTimeout = 15 * time.Second
)

// DrainFlag adds -drain-delay.
func DrainFlag(flags *flag.FlagSet) *time.Duration {
	return flags.Duration("drain-delay", 5*time.Second, "how long to go on serving, not ready, after SIGTERM")
}

// Server is an HTTP server with probes, metrics and a graceful end.
type Server struct {
	Address     string
	DrainDelay  time.Duration
	IdleTimeout time.Duration

	draining atomic.Bool
}

// New is a server for the address; it listens in Run.
func New(address string, drainDelay time.Duration) *Server {
	return &Server{Address: address, DrainDelay: drainDelay, IdleTimeout: idleTimeout}
}

// RegisterProbes adds /healthz, /readyz and /metrics.
func (s *Server) RegisterProbes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.tellReadiness)
	mux.Handle("GET /metrics", promhttp.Handler())
}

func (s *Server) tellReadiness(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// Run serves until the context ends, then drains: readiness off while requests are still served (the endpoints of a
// Service follow a little later), every answer asks its client to open a new connection, and at last open requests end.
func (s *Server) Run(ctx context.Context, handler http.Handler) error {
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return s.serve(ctx, listener, handler)
}

func (s *Server) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           s.closingWhileDraining(handler),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       s.IdleTimeout,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	time.Sleep(s.DrainDelay)
	closing, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (s *Server) closingWhileDraining(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}
