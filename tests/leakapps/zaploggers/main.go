// A logger for every tenant, kept in a map that is never cleaned: each owns a buffer of zap's own pool, which was
// made where a line was logged.
package main

import (
	"fmt"
	"io"
	"sync"

	"bilgepump.dev/leakapps/harness"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type registry struct {
	mu      sync.Mutex
	base    *zap.Logger
	loggers map[string]*zap.Logger
}

func (r *registry) loggerFor(tenant string) *zap.Logger {
	r.mu.Lock()
	defer r.mu.Unlock()
	logger, known := r.loggers[tenant]
	if !known {
		logger = r.base.With(zap.String("tenant", tenant))
		r.loggers[tenant] = logger
	}
	return logger
}

func main() {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zap.InfoLevel)
	loggers := &registry{base: zap.New(core), loggers: map[string]*zap.Logger{}}
	units := int64(0)
	harness.Serve(func(i int) {
		loggers.loggerFor(fmt.Sprintf("tenant-%d", i)).Info("order placed", zap.Int("order", i))
		units++
	}, func() int64 { return units * 1380 })
}
