// A popular cache library, with no expiration and no clean-up.
package main

import (
	"strconv"

	"bilgepump.dev/leakapps/harness"
	"github.com/patrickmn/go-cache"
)

type profile struct {
	name string
	tags [60]string
}

var profiles = cache.New(cache.NoExpiration, 0)

func loadProfile(id string) *profile {
	if found, ok := profiles.Get(id); ok {
		return found.(*profile)
	}
	loaded := &profile{name: id}
	profiles.Set(id, loaded, cache.DefaultExpiration)
	return loaded
}

func main() {
	units := int64(0)
	harness.Serve(func(i int) {
		loadProfile("visitor-" + strconv.Itoa(i))
		units++
	}, func() int64 { return units * (1024 + 16) })
}
