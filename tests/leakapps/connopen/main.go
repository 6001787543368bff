// A server for a long-lived protocol never gives up on peers that went silent: each keeps its goroutine.
package main

import (
	"net"

	"bilgepump.dev/leakapps/harness"
)

func serveConnection(connection net.Conn) {
	buffer := make([]byte, 8<<10)
	for {
		if _, err := connection.Read(buffer); err != nil {
			return
		}
	}
}

func accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go serveConnection(connection)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go accept(listener)
	var silent []net.Conn
	harness.Serve(func(int) {
		peer, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		silent = append(silent, peer)
	}, func() int64 { return int64(len(silent)) * 8 << 10 })
}
