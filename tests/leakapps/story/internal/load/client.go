package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// idleTimeout is shorter than any drain delay: an idle connection is given up before its server is.
const idleTimeout = 2 * time.Second

// client is one worker with a connection of its own. It retries nothing.
type client struct {
	plan      Plan
	tally     *tally
	transport *http.Transport
	http      *http.Client
	used      int
}

func newClient(plan Plan, tally *tally) *client {
	transport := &http.Transport{IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 1}
	return &client{plan: plan, tally: tally, transport: transport, http: &http.Client{Transport: transport, Timeout: plan.Timeout}}
}

func (c *client) work(users <-chan string) {
	defer c.transport.CloseIdleConnections()
	for user := range users {
		start := time.Now()
		failure, err := c.request(user)
		c.tally.add(time.Since(start), failure, err)
		if c.used++; c.used >= c.plan.RequestsPerConnection {
			c.transport.CloseIdleConnections()
			c.used = 0
		}
	}
}

// request tells how it failed; an empty kind is success: a whole 2xx answer.
func (c *client) request(user string) (failure string, err error) {
	request, err := http.NewRequest(c.plan.Method, c.plan.Target+"/orders/"+user, c.body())
	if err != nil {
		return "bad_request", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return kind(err), err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return kind(err), err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Sprintf("http_%d", response.StatusCode), errors.New(response.Status)
	}
	return "", nil
}

func (c *client) body() io.Reader {
	if c.plan.Method == http.MethodGet {
		return nil
	}
	return strings.NewReader(`{"express":true}`)
}

func kind(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection_reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection_closed"
	case errors.As(err, &network) && network.Timeout():
		return "timeout"
	}
	return "other"
}
