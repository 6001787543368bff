// Calls a service that accepts and never answers, with the default client: nothing ends the call.
package main

import (
	"net"
	"net/http"
	"time"

	"bilgepump.dev/leakapps/harness"
)

func refresh(url string) {
	response, err := http.Get(url)
	if err != nil {
		return
	}
	defer response.Body.Close()
}

func main() {
	silent, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	var held []net.Conn
	url := "http://" + silent.Addr().String()
	calls := int64(0)
	harness.Serve(func(int) {
		go refresh(url)
		calls++
		// One after another: what dialling needs for a moment is not to be counted as kept.
		silent.SetDeadline(time.Now().Add(time.Minute))
		connection, err := silent.Accept()
		if err != nil {
			panic(err)
		}
		held = append(held, connection)
	}, func() int64 { return calls * 9200 })
}
