package shape

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"story/internal/options"
)

func TestTheCacheFillsUpToItsBoundAndNoFurther(t *testing.T) {
	cache := NewCache(1000 * entryBytes)
	for range timeConstants * 1000 {
		cache.Lookup(rand.IntN(1000))
	}
	if filled := cache.Filled(); math.Abs(filled-(1-math.Exp(-timeConstants))) > 0.01 {
		t.Fatalf("filled %v after five time constants", filled)
	}
	first := &cache.Lookup(7)[0]
	if first != &cache.Lookup(7)[0] {
		t.Fatal("an entry that is held was made again")
	}
}

func TestLiveMemoryHasTheSizeThatWasAskedFor(t *testing.T) {
	total := 0
	for _, block := range hold(10 << 20) {
		total += len(block)
	}
	if total != 10<<20 {
		t.Fatalf("%d bytes", total)
	}
}

func TestTicksLostOnABusyMachineAreMadeUpFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	steps := 0
	every(ctx, time.Millisecond, func() {
		if steps++; steps == 1 {
			time.Sleep(100 * time.Millisecond)
		}
	})
	if steps < 150 {
		t.Fatalf("%d steps in 200 ms", steps)
	}
}

func TestImpossibleShapesAreUsageErrors(t *testing.T) {
	for name, run := range map[string]func(context.Context, []string) error{
		"-live-bytes=0": RunSteady, "-warm=0s": RunWarmup, "-period=-1s": RunSawtooth,
	} {
		if err := run(context.Background(), []string{name}); !options.IsUsage(err) {
			t.Fatalf("%s gave %v", name, err)
		}
	}
}
