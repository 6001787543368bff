//go:build tools

// Package tools pins the version of Argo Rollouts that the tests run against.
package tools

import _ "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"
