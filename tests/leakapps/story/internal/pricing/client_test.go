package pricing

import (
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"story/internal/leak"
)

// goroutinesSettle waits until the number of goroutines satisfies the condition.
func goroutinesSettle(t *testing.T, what string, satisfied func(int) bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !satisfied(runtime.NumGoroutine()) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %d goroutines", what, runtime.NumGoroutine())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func fetch(t *testing.T, client *Client, times int) {
	t.Helper()
	for range times {
		quote, err := client.FetchQuote("ann")
		if err != nil || quote.Cents != quoteFor("ann").Cents {
			t.Fatalf("quote %+v, error %v", quote, err)
		}
	}
}

func TestEveryNthQuoteLeavesTwoGoroutinesForGood(t *testing.T) {
	server := httptest.NewServer(Handler())
	client := NewClient(server.URL, leak.NewSwitch(true), 5)
	fetch(t, client, 1)
	before := runtime.NumGoroutine()
	fetch(t, client, 100)
	server.CloseClientConnections() // what the upstream does after a while changes nothing
	server.Close()
	client.http.CloseIdleConnections()
	goroutinesSettle(t, "20 open bodies", func(now int) bool { return now >= before+40-8 && now <= before+40 })
}

func TestTheHealthyTwinLeavesNothing(t *testing.T) {
	for _, client := range []func(string) *Client{
		func(url string) *Client { return NewClient(url, leak.NewSwitch(false), 1) },
		func(url string) *Client { return NewClient(url, leak.NewSwitch(true), 0) },
	} {
		before := runtime.NumGoroutine()
		server := httptest.NewServer(Handler())
		healthy := client(server.URL)
		fetch(t, healthy, 50)
		healthy.http.CloseIdleConnections()
		server.Close()
		goroutinesSettle(t, "healthy", func(now int) bool { return now <= before })
	}
}

func TestAnUpstreamThatIsGoneIsAnError(t *testing.T) {
	server := httptest.NewServer(Handler())
	server.Close()
	if _, err := NewClient(server.URL, leak.NewSwitch(true), 1).FetchQuote("ann"); err == nil {
		t.Fatal("no error")
	}
}
