package shape

import (
	"context"
	"runtime/debug"
	"time"

	"story/internal/options"
)

const blockBytes = 32 << 10

// RunSawtooth is the `sawtooth` command: live memory never changes, garbage piles up under a high GOGC and goes back
// to the system in one go, as batch jobs do that end with debug.FreeOSMemory.
func RunSawtooth(ctx context.Context, arguments []string) error {
	service := newService("sawtooth")
	live := service.flags.Int("live-bytes", 37<<20, "memory held from the start")
	garbage := service.flags.Int("garbage-bytes", 37<<20, "garbage of one period")
	period := service.flags.Duration("period", 40*time.Second, "time from one release to the next")
	gogc := service.flags.Int("gogc", 400, "percent; high, so that no collection comes before the release")
	if err := options.Parse(service.flags, arguments); err != nil {
		return err
	}
	if err := positive(map[string]int{
		"live-bytes": *live, "garbage-bytes": *garbage, "period": int(*period), "gogc": *gogc,
	}); err != nil {
		return err
	}
	debug.SetGCPercent(*gogc)
	held := hold(*live)
	perTick := max(1, int(float64(*garbage)*tick.Seconds()/period.Seconds()))
	piled := 0
	return service.run(ctx, func() {
		for left := perTick; left > 0; left -= blockBytes {
			churn(min(left, blockBytes))
		}
		piled += perTick
		if piled >= *garbage {
			debug.FreeOSMemory()
			piled = 0
		}
		held[0][0]++ // the live blocks are used for as long as the service runs
	})
}

// hold is live memory in blocks.
func hold(bytes int) [][]byte {
	blocks := make([][]byte, max(1, bytes/blockBytes))
	for i := range blocks {
		blocks[i] = resident(blockBytes)
	}
	return blocks
}
