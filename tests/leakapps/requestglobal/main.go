// A package variable remembers every request "for debugging", and with it all that the request points to.
package main

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"bilgepump.dev/leakapps/harness"
)

var inFlight = map[*http.Request]string{}

func serve(w http.ResponseWriter, r *http.Request) {
	inFlight[r] = r.URL.Path
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	units := int64(0)
	harness.Serve(func(i int) {
		request := httptest.NewRequest("POST", "/orders", strings.NewReader("x"))
		request.Header.Set("Cookie", strings.Repeat("c", 1<<10))
		serve(httptest.NewRecorder(), request)
		units++
	}, func() int64 { return units * (1<<10 + 950) })
}
