//go:build tools

// Package tools pins the version of promtool that the tests of alert rules build; it is that of prometheus.
package tools

import _ "github.com/prometheus/prometheus/cmd/promtool"
