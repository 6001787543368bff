package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"story/internal/options"
)

func plan(target string) Plan {
	return Plan{
		Target: target, Method: "POST", RequestsPerSecond: 400, Duration: 10 * time.Second, Requests: 200,
		Users: 7, Workers: 4, RequestsPerConnection: 10, Timeout: time.Second,
	}
}

func drive(t *testing.T, ctx context.Context, plan Plan) Summary {
	t.Helper()
	var out bytes.Buffer
	if err := Drive(ctx, plan, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var summary Summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &summary); err != nil || !summary.Summary {
		t.Fatalf("last line %s (%v)", lines[len(lines)-1], err)
	}
	return summary
}

func TestEveryRequestOfThePlanIsSentAndCounted(t *testing.T) {
	var users sync.Map
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		users.Store(r.URL.Path, true)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	summary := drive(t, context.Background(), plan(server.URL))
	if summary.OK+summary.Skipped != 200 || summary.OK < 150 || summary.FailedTotal != 0 {
		t.Fatalf("%+v", summary)
	}
	seen := 0
	users.Range(func(any, any) bool { seen++; return true })
	if seen != 7 {
		t.Fatalf("%d users", seen)
	}
	if made, least := int(connections.Load()), summary.OK/10; made < least {
		t.Fatalf("%d connections, at least %d expected", made, least)
	}
}

func TestFailuresAreCountedByKind(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that a client went away
		switch r.URL.Path {
		case "/orders/user-00000":
			w.WriteHeader(http.StatusBadGateway)
		case "/orders/user-00001":
			panic(http.ErrAbortHandler)
		case "/orders/user-00002":
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	ours := plan(server.URL)
	ours.Requests, ours.Users, ours.Timeout = 4, 4, 100*time.Millisecond
	summary := drive(t, context.Background(), ours)
	want := map[string]int{"http_502": 1, "connection_closed": 1, "timeout": 1}
	for kind, number := range want {
		if summary.Failed[kind] != number {
			t.Fatalf("failed %v, want %v (%v)", summary.Failed, want, summary.LastErrors)
		}
	}
	if summary.OK != 1 || summary.FailedTotal != 3 {
		t.Fatalf("%+v", summary)
	}
	server.Close()
	if summary := drive(t, context.Background(), ours); summary.Failed["connection_refused"] != 4 {
		t.Fatalf("a server that is gone: %v", summary.LastErrors)
	}
}

func TestItEndsWithItsDurationOrItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ours := plan(server.URL)
	ours.Requests, ours.Duration = 0, 100*time.Millisecond
	if summary := drive(t, context.Background(), ours); summary.ElapsedSeconds > 2 {
		t.Fatalf("%v s", summary.ElapsedSeconds)
	}
	ours.Duration = time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if summary := drive(t, ctx, ours); summary.ElapsedSeconds > 2 || summary.OK == 0 {
		t.Fatalf("%+v", summary)
	}
}

func TestABadPlanIsAUsageError(t *testing.T) {
	for name, arguments := range map[string][]string{
		"no target":          {},
		"a target over TLS":  {"-target=https://127.0.0.1"},
		"a boundless rate":   {"-target=http://127.0.0.1", "-rps=1e9"},
		"no rate":            {"-target=http://127.0.0.1", "-rps=0"},
		"a boundless time":   {"-target=http://127.0.0.1", "-duration=1000h"},
		"no users":           {"-target=http://127.0.0.1", "-users=0"},
		"an unknown method":  {"-target=http://127.0.0.1", "-method=PATCH"},
		"negative requests":  {"-target=http://127.0.0.1", "-requests=-1"},
		"a target of spaces": {"-target= "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(arguments); !options.IsUsage(err) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestPercentilesAreNearestRank(t *testing.T) {
	values := []float64{1, 2, 3, 4}
	if percentile(values, 0.5) != 2 || percentile(values, 0.99) != 4 || percentile(nil, 0.5) != 0 || percentile(values[:1], 0) != 1 {
		t.Fatal("wrong rank")
	}
}
