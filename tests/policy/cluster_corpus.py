"""ClusterMemoryPolicies, good and bad, for the controller's own validation and for the API server."""

from typing import Any

import pytest

ALL: dict[str, Any] = {"namespaceSelector": {}}
LABELS: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}


def cluster_policy(spec: dict[str, Any], name: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "ClusterMemoryPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


GOOD = [
    pytest.param(ALL, id="all namespaces"),
    pytest.param(
        LABELS | {"mode": "Capture", "evidence": {"pprof": [{"container": "app", "port": 6060}]}},
        id="capture",
    ),
    pytest.param(LABELS | {"target": {"selector": {"matchLabels": {"app": "api"}}}}, id="some workloads"),
    pytest.param(LABELS | {"target": {"containers": ["app"]}, "suspend": True}, id="some containers"),
    pytest.param(
        {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["dev"]}]}},
        id="by expression",
    ),
]
BAD = [
    pytest.param({}, "spec.namespaceSelector", "is required", "Required value", id="no selector"),
    pytest.param(
        ALL | {"mode": "Remediate"},
        "spec.mode",
        "must be Observe or Capture",
        "Unsupported value",
        id="restarts",
    ),
    pytest.param(
        ALL | {"target": {"workloads": [{"kind": "Deployment", "name": "api"}]}},
        "spec.target.workloads",
        "is not a field",
        'unknown field "spec.target.workloads"',
        id="names a workload",
    ),
    pytest.param(
        ALL | {"target": {"selector": {}}},
        "spec.target.selector",
        "must have `matchLabels`",
        "must have `matchLabels`",
        id="an empty target",
    ),
    pytest.param(
        {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "In"}]}},
        "spec.namespaceSelector.matchExpressions[0].values",
        "at least one entry",
        "must have entries",
        id="an expression without values",
    ),
    pytest.param(
        ALL | {"detection": {"lookback": "2"}},
        "spec.detection.lookback",
        "duration",
        "duration",
        id="as elsewhere",
    ),
]
