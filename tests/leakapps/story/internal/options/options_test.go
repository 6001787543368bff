package options

import (
	"flag"
	"io"
	"testing"
	"time"
)

func flagSet() (*flag.FlagSet, *int, *time.Duration) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags, flags.Int("session-bytes", 7, ""), flags.Duration("drain-delay", time.Second, "")
}

func TestAFlagBeatsItsVariableAndAVariableBeatsTheDefault(t *testing.T) {
	t.Setenv("SESSION_BYTES", "11")
	t.Setenv("DRAIN_DELAY", "3s")
	flags, bytes, delay := flagSet()
	if err := Parse(flags, []string{"-session-bytes=9"}); err != nil {
		t.Fatal(err)
	}
	if *bytes != 9 || *delay != 3*time.Second {
		t.Fatalf("session-bytes %d, drain-delay %v: want 9 and 3s", *bytes, *delay)
	}
}

func TestABadValueIsAUsageErrorThatNamesTheVariable(t *testing.T) {
	t.Setenv("SESSION_BYTES", "12KiB")
	flags, _, _ := flagSet()
	err := Parse(flags, nil)
	if !IsUsage(err) || err.Error() != `-session-bytes (or SESSION_BYTES) is "12KiB": parse error` {
		t.Fatalf("got %v", err)
	}
	if err := Parse(flags, []string{"-unknown"}); !IsUsage(err) {
		t.Fatalf("an unknown flag gave %v", err)
	}
	if err := Parse(flags, []string{"surplus"}); !IsUsage(err) {
		t.Fatalf("a surplus argument gave %v", err)
	}
}

func TestAServiceIsFoundByTheVariablesOfTheKubelet(t *testing.T) {
	t.Setenv("PRICE_LIST_SERVICE_HOST", "10.96.3.4")
	t.Setenv("PRICE_LIST_SERVICE_PORT", "80")
	if url := ServiceURL("price-list"); url != "http://10.96.3.4:80" {
		t.Fatalf("got %q", url)
	}
	if url := ServiceURL("absent"); url != "" {
		t.Fatalf("a Service that is not there has the address %q", url)
	}
}
