// Package options lets every flag be given by an environment variable too: -session-bytes is SESSION_BYTES.
package options

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
)

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// IsUsage tells a wrong flag or variable from a failure at run time.
func IsUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}

// Invalid is a usage error that names the flag, its value and what is allowed.
func Invalid(flagName string, value any, allowed string) error {
	return usageError{fmt.Errorf("-%s (or %s) is %v: %s", flagName, EnvironmentName(flagName), value, allowed)}
}

// EnvironmentName is the variable that sets a flag.
func EnvironmentName(flagName string) string {
	return strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// Parse reads the arguments and then, for every flag they leave out, its environment variable.
func Parse(flags *flag.FlagSet, arguments []string) error {
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return flag.ErrHelp
		}
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q: only flags are allowed", flags.Arg(0))}
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var failure error
	flags.VisitAll(func(f *flag.Flag) {
		value, set := os.LookupEnv(EnvironmentName(f.Name))
		if !set || given[f.Name] || failure != nil {
			return
		}
		if err := f.Value.Set(value); err != nil {
			failure = Invalid(f.Name, fmt.Sprintf("%q", value), err.Error())
		}
	})
	return failure
}

// ServiceURL is the address of a Service of the same namespace, from the variables the kubelet injects; it needs no
// cluster DNS. Empty where the Service did not exist when the container started.
func ServiceURL(service string) string {
	prefix := EnvironmentName(service)
	host, port := os.Getenv(prefix+"_SERVICE_HOST"), os.Getenv(prefix+"_SERVICE_PORT")
	if host == "" || port == "" {
		return ""
	}
	return "http://" + net.JoinHostPort(host, port)
}
