// A cache library's clean-up goroutine, started by every call and never stopped.
package main

import (
	"strconv"
	"time"

	"bilgepump.dev/leakapps/harness"
	"github.com/jellydator/ttlcache/v3"
)

type service struct{}

func (*service) lookUp(key string) string {
	cache := ttlcache.New(ttlcache.WithTTL[string, string](time.Hour))
	go cache.Start()
	cache.Set(key, "value of "+key, ttlcache.DefaultTTL)
	return cache.Get(key).Value()
}

func main() {
	s := &service{}
	calls := int64(0)
	harness.Serve(func(i int) { s.lookUp(strconv.Itoa(i)); calls++ }, func() int64 { return calls * 1950 })
}
