// Package debugserver offers /debug/pprof and /debug/memory on a port of their own.
package debugserver

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const headerTimeout = 10 * time.Second

// Flag adds -debug-listen.
func Flag(flags *flag.FlagSet) *string {
	return flags.String("debug-listen", ":6060", "address of /debug/pprof and /debug/memory")
}

// Start listens, then serves until the process ends, while it drains too; register adds further routes and may be nil.
func Start(address string, register func(*http.ServeMux)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/memory", tellMemory)
	if register != nil {
		register(mux)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for pprof: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	go func() { _ = server.Serve(listener) }()
	return nil
}

// memory is the answer of /debug/memory; memstats has the field names of runtime.MemStats, as expvar does.
type memory struct {
	MemStats         runtime.MemStats `json:"memstats"`
	Goroutines       int              `json:"goroutines"`
	GoMemLimitBytes  int64            `json:"gomemlimit_bytes"`
	GoGCPercent      int64            `json:"gogc_percent"`
	GoMaxProcs       int              `json:"gomaxprocs"`
	GoVersion        string           `json:"go_version"`
	HeapLiveBytes    uint64           `json:"heap_live_bytes"`
	HeapGoalBytes    uint64           `json:"heap_goal_bytes"`
	StartTimeSeconds float64          `json:"start_time_seconds"`
}

var startTime = time.Now()

func tellMemory(w http.ResponseWriter, _ *http.Request) {
	samples := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}}
	metrics.Read(samples)
	answer := memory{
		Goroutines:       runtime.NumGoroutine(),
		GoMemLimitBytes:  debug.SetMemoryLimit(-1),
		GoGCPercent:      int64(samples[0].Value.Uint64()),
		GoMaxProcs:       runtime.GOMAXPROCS(0),
		GoVersion:        runtime.Version(),
		HeapLiveBytes:    samples[1].Value.Uint64(),
		HeapGoalBytes:    samples[2].Value.Uint64(),
		StartTimeSeconds: float64(startTime.UnixMilli()) / 1000,
	}
	runtime.ReadMemStats(&answer.MemStats)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
