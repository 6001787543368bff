package shape

import (
	"context"
	"math/rand/v2"

	"story/internal/options"
)

// RunSteady is the `steady` command: blocks of live memory are replaced by ones of slightly other sizes.
func RunSteady(ctx context.Context, arguments []string) error {
	service := newService("steady")
	live := service.flags.Int("live-bytes", 24<<20, "memory held, on average")
	if err := options.Parse(service.flags, arguments); err != nil {
		return err
	}
	if err := positive(map[string]int{"live-bytes": *live}); err != nil {
		return err
	}
	held := hold(*live)
	return service.run(ctx, func() {
		for range 8 {
			size := blockBytes*3/4 + rand.IntN(blockBytes/2)
			held[rand.IntN(len(held))] = resident(size)
		}
	})
}
