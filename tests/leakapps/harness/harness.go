// Package harness drives a leak program from a test: it does so many units of work on request, and offers
// pprof and expvar beside it as a service would.
package harness

import (
	"encoding/json"
	_ "expvar"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"runtime"
	"strconv"
	"time"
)

// Account is what a program knows about its own leak; the test holds the diagnosis against it.
type Account struct {
	RetainedBytes int64  `json:"retainedBytes"`
	HeapAlloc     uint64 `json:"heapAlloc"`
	StackInuse    uint64 `json:"stackInuse"`
	Goroutines    int    `json:"goroutines"`
}

// Serve prints the address it listens on and answers POST /work?n=N by calling unit N times.
// retained returns the bytes that the program holds on to by its leak, as the allocator rounds them up (a block of
// 2056 bytes takes 2304); for libraries, what HeapAlloc grows by for one unit.
func Serve(unit func(i int), retained func() int64) {
	done := 0
	http.HandleFunc("POST /work", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, "n must be a number", http.StatusBadRequest)
			return
		}
		for range n {
			unit(done)
			done++
		}
		settle()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		json.NewEncoder(w).Encode(Account{
			RetainedBytes: retained(),
			HeapAlloc:     stats.HeapAlloc,
			StackInuse:    stats.StackInuse,
			Goroutines:    runtime.NumGoroutine(),
		})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("LISTENING %s\n", listener.Addr())
	panic(http.Serve(listener, nil))
}

// settle waits until the number of goroutines stands still for a tenth of a second: started ones have reached where
// they block, also on a busy machine.
func settle() {
	last, same := -1, 0
	for range 4000 {
		if now := runtime.NumGoroutine(); now == last {
			same++
		} else {
			last, same = now, 0
		}
		if same == 20 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
