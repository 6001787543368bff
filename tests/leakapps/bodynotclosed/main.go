// Reads the status of a response and forgets its body: each call keeps a connection, two goroutines and two
// buffers; the service it calls runs in the same process and keeps as many.
package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"bilgepump.dev/leakapps/harness"
)

var client = &http.Client{}

func fetchPrice(url string) bool {
	response, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	return response.StatusCode == http.StatusOK
}

func main() {
	price := strings.Repeat("42.00 EUR ", 2000)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, price)
	}))
	calls := int64(0)
	harness.Serve(func(int) { fetchPrice(upstream.URL); calls++ }, func() int64 { return calls * 16 << 10 })
}
