// A metric with the visitor's id as a label: one more time series for every visitor.
package main

import (
	"net/http"
	"strconv"

	"bilgepump.dev/leakapps/harness"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var requests = prometheus.NewCounterVec(
	prometheus.CounterOpts{Name: "requests_total", Help: "Requests by path and visitor."},
	[]string{"path", "visitor"},
)

func countRequest(visitor int) {
	requests.WithLabelValues("/cart", strconv.Itoa(visitor)).Inc()
}

func main() {
	prometheus.MustRegister(requests)
	http.Handle("/metrics", promhttp.Handler())
	units := int64(0)
	harness.Serve(func(i int) { countRequest(i); units++ }, func() int64 { return units * 537 })
}
