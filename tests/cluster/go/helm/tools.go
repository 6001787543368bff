//go:build tools

// Package tools pins the version of Helm that the test cluster builds.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
