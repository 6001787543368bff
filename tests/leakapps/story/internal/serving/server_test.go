package serving

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func start(t *testing.T, handler http.HandlerFunc) (url string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := New("", 300*time.Millisecond)
	mux := http.NewServeMux()
	server.RegisterProbes(mux)
	mux.HandleFunc("/", handler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.serve(ctx, listener, mux) }()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestNoRequestOfABusyClientIsLostWhileTheServerEnds(t *testing.T) {
	url, stop := start(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond)
		_, _ = w.Write([]byte("done"))
	})
	var answered, lost, moved atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			for {
				response, err := client.Post(url, "text/plain", strings.NewReader("order"))
				if err != nil {
					lost.Add(1)
					return
				}
				_ = response.Body.Close()
				answered.Add(1)
				if response.Close { // a Service would lead the next connection to another replica
					moved.Add(1)
					return
				}
			}
		})
	}
	for answered.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	if lost.Load() != 0 || moved.Load() != 8 {
		t.Fatalf("%d requests lost, %d of 8 clients asked to move", lost.Load(), moved.Load())
	}
}

func TestReadinessEndsBeforeServiceDoes(t *testing.T) {
	url, stop := start(t, func(http.ResponseWriter, *http.Request) {})
	status := func(path string) int {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := status("/readyz"); got != http.StatusOK {
		t.Fatalf("ready: %d", got)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for status("/readyz") == http.StatusOK {
		time.Sleep(time.Millisecond)
	}
	if got := status("/"); got != http.StatusOK {
		t.Fatalf("a request while draining got %d", got)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
