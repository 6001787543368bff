// Command hello answers every request with its host's name, and counts the answers at /metrics.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	name, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	var answers atomic.Int64
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answers.Add(1)
		fmt.Fprintln(w, name)
	})
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello_answers_total %d\n", answers.Load())
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
