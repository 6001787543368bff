//go:build tools

// Package tools pins the version of prometheus that the test cluster builds.
package tools

import _ "github.com/prometheus/prometheus/cmd/prometheus"
