package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"story/internal/catalogue"
	"story/internal/debugserver"
	"story/internal/leak"
	"story/internal/options"
	"story/internal/pricing"
	"story/internal/serving"
	"story/internal/session"
)

type settings struct {
	listen, debugListen       string
	pricingURL, pricingName   string
	catalogueBytes, lines     int
	sessionBytes, bodiesEvery int
	leaks                     bool
	leakPods, podName         string
	drainDelay                time.Duration
}

// Run is the `api` command: it leaks unless told otherwise.
func Run(ctx context.Context, arguments []string) error { return run(ctx, "api", true, arguments) }

// RunReplicaLeak is the `replicaleak` command: it leaks only on chosen pods, or after POST /debug/leak/on.
func RunReplicaLeak(ctx context.Context, arguments []string) error {
	return run(ctx, "replicaleak", false, arguments)
}

func run(ctx context.Context, name string, leaks bool, arguments []string) error {
	settings, err := parse(name, leaks, arguments)
	if err != nil {
		return err
	}
	chosen, err := regexp.Compile(settings.leakPods)
	if err != nil {
		return options.Invalid("leak-pods", fmt.Sprintf("%q", settings.leakPods), "a regular expression is needed")
	}
	onThisPod := settings.leakPods != "" && chosen.MatchString(settings.podName)
	leakSwitch := leak.NewSwitch(settings.leaks || onThisPod)
	upstream, err := upstreamURL(settings)
	if err != nil {
		return err
	}
	aead, err := newAEAD()
	if err != nil {
		return err
	}
	service := &service{
		products:     catalogue.Load(settings.catalogueBytes),
		lines:        settings.lines,
		aead:         aead,
		quotes:       pricing.NewClient(upstream, leakSwitch, settings.bodiesEvery),
		sessions:     session.NewStore(),
		sessionBytes: settings.sessionBytes,
		leaks:        leakSwitch,
		requests: promauto.NewCounterVec(
			prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."},
			[]string{"method", "route", "code"},
		),
	}
	if err := debugserver.Start(settings.debugListen, leakSwitch.Register); err != nil {
		return err
	}
	server := serving.New(settings.listen, settings.drainDelay)
	mux := http.NewServeMux()
	server.RegisterProbes(mux)
	mux.Handle("/", service.routes())
	log.Printf("%s serves orders on %s", name, settings.listen)
	return server.Run(ctx, mux)
}

func parse(name string, leaks bool, arguments []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", ":8080", "address of /orders/:user, /healthz, /readyz and /metrics")
	debugListen := debugserver.Flag(flags)
	drainDelay := serving.DrainFlag(flags)
	flags.StringVar(&s.pricingURL, "pricing-url", "", "the upstream's base URL; default: the Service of -pricing-service")
	flags.StringVar(&s.pricingName, "pricing-service", "pricing",
		"the upstream's Service, found by the variables of the kubelet; without them quotes come from a loopback port")
	flags.IntVar(&s.catalogueBytes, "catalogue-bytes", 10<<20, "bytes of products held from the start, never more")
	flags.IntVar(&s.lines, "order-lines", 128, "lines of an order, about 0.5 KiB each: how much is encrypted and thrown away")
	flags.BoolVar(&s.leaks, "leaks", leaks, "leak from the start; false: the healthy twin")
	flags.StringVar(&s.leakPods, "leak-pods", "", "regular expression of pod names that leak from the start")
	hostname, _ := os.Hostname()
	flags.StringVar(&s.podName, "pod-name", hostname, "this pod's name")
	flags.IntVar(&s.sessionBytes, "session-bytes", 3072, "bytes every request leaves in the per-user map")
	flags.IntVar(&s.bodiesEvery, "leak-bodies-every", 6, "every how many requests a response body stays open; 0: never")
	if err := options.Parse(flags, arguments); err != nil {
		return s, err
	}
	s.debugListen, s.drainDelay = *debugListen, *drainDelay
	for name, value := range map[string]int{
		"catalogue-bytes": s.catalogueBytes, "session-bytes": s.sessionBytes,
		"leak-bodies-every": s.bodiesEvery, "order-lines": s.lines,
	} {
		if value < 0 {
			return s, options.Invalid(name, value, "zero or more is needed")
		}
	}
	return s, nil
}

func upstreamURL(s settings) (string, error) {
	if s.pricingURL != "" {
		return s.pricingURL, nil
	}
	if found := options.ServiceURL(s.pricingName); found != "" {
		return found, nil
	}
	return pricing.StartLoopback()
}

func newAEAD() (cipher.AEAD, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare the cipher: %w", err)
	}
	return cipher.NewGCM(block)
}
