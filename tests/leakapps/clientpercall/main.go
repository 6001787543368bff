// Closes every body, but makes a transport for every call, which keeps its idle connection for ever.
package main

import (
	"io"
	"net/http"
	"net/http/httptest"

	"bilgepump.dev/leakapps/harness"
)

func callBilling(url string) {
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
}

func main() {
	billing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "paid")
	}))
	calls := int64(0)
	harness.Serve(func(int) { callBilling(billing.URL); calls++ }, func() int64 { return calls * 16 << 10 })
}
