// Package pricing asks an upstream service what an order costs, and is that service.
package pricing

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"story/internal/leak"
)

const totalHeader = "X-Quote-Cents"

// Quote is what the upstream answers.
type Quote struct {
	User  string   `json:"user"`
	Cents int      `json:"cents"`
	Rules []string `json:"rules"`
}

// Client asks the upstream.
type Client struct {
	http      *http.Client
	base      string
	leaks     *leak.Switch
	leakEvery uint64
	asked     atomic.Uint64
}

// NewClient asks the service at base; every leakEvery-th quote leaks while the switch is on, none where it is 0.
//
// There is no http.Client.Timeout and no request context here, as in so much code: either would end a forgotten
// connection after all.
func NewClient(base string, leaks *leak.Switch, leakEvery int) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 16
	transport.ResponseHeaderTimeout = 5 * time.Second
	return &Client{http: &http.Client{Transport: transport}, base: base, leaks: leaks, leakEvery: uint64(leakEvery)}
}

// FetchQuote is the price of a user's order.
//
// Leak, on purpose: where only the total is wanted it stands in a header, nobody reads the body and nobody closes it.
// The connection then stays out of the pool for good, with its buffers and its readLoop and writeLoop goroutines.
func (c *Client) FetchQuote(user string) (Quote, error) {
	response, err := c.http.Get(c.base + "/quotes/" + url.PathEscape(user))
	if err != nil {
		return Quote{}, fmt.Errorf("ask for a quote: %w", err)
	}
	if c.totalIsEnough() && response.StatusCode == http.StatusOK {
		cents, err := strconv.Atoi(response.Header.Get(totalHeader))
		return Quote{User: user, Cents: cents}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Quote{}, fmt.Errorf("ask for a quote: the upstream answered %s", response.Status)
	}
	var quote Quote
	if err := json.NewDecoder(response.Body).Decode(&quote); err != nil {
		return Quote{}, fmt.Errorf("read a quote: %w", err)
	}
	return quote, nil
}

func (c *Client) totalIsEnough() bool {
	if c.leakEvery == 0 || !c.leaks.On() {
		return false
	}
	return c.asked.Add(1)%c.leakEvery == 0
}
