package shape

import (
	"context"
	"math/rand/v2"
	"time"

	"story/internal/options"
)

const (
	entryBytes = 4 << 10
	// timeConstants is how many of them -warm is: after five, all but 0.7 % of the keys were asked for.
	timeConstants = 5
	// churnPerLookup is the garbage of one request; it keeps the collector's cycle at seconds.
	churnPerLookup = 16 << 10
)

// Cache is bounded by its keys: every key that was asked for once is held, none is ever added beyond.
type Cache struct{ entries [][]byte }

// NewCache has room for the given bytes.
func NewCache(bytes int) *Cache { return &Cache{entries: make([][]byte, max(1, bytes/entryBytes))} }

// Lookup gives the entry of a key and fills it the first time.
func (c *Cache) Lookup(key int) []byte {
	if c.entries[key] == nil {
		c.entries[key] = resident(entryBytes)
	}
	return c.entries[key]
}

// Filled is the share of the bound that is held, 0 to 1.
func (c *Cache) Filled() float64 {
	held := 0
	for _, entry := range c.entries {
		if entry != nil {
			held++
		}
	}
	return float64(held) / float64(len(c.entries))
}

// RunWarmup is the `warmup` command: random keys are looked up at a constant rate, so the cache fills fast, then ever
// slower, and is full after -warm.
func RunWarmup(ctx context.Context, arguments []string) error {
	service := newService("warmup")
	bytes := service.flags.Int("cache-bytes", 26<<20, "the bound of the cache")
	warm := service.flags.Duration("warm", 2*time.Minute, "time until the cache is full")
	if err := options.Parse(service.flags, arguments); err != nil {
		return err
	}
	if err := positive(map[string]int{"cache-bytes": *bytes, "warm": int(*warm)}); err != nil {
		return err
	}
	cache := NewCache(*bytes)
	lookups := max(1, int(float64(len(cache.entries))*timeConstants*tick.Seconds()/warm.Seconds()))
	return service.run(ctx, func() {
		for range lookups {
			cache.Lookup(rand.IntN(len(cache.entries)))
			churn(churnPerLookup)
		}
	})
}

var sink []byte

// churn makes garbage at once.
func churn(bytes int) { sink = resident(bytes) }
