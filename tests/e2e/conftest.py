"""The stage of the end-to-end tests: one cluster, one Prometheus, one controller installed with Helm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.demo.stage import install_controller, load_story_image, uninstall_controller
from tests.e2e.performance import Performance, Stage
from tests.e2e.test_metrics_loss import UNRELIABLE, unreliable_prometheus

PREFIX = "e2e-"
VALUES = {
    # Many services leak at the same time here, and none waits for another.
    "limits": {
        "concurrentRemediations": 20,
        "concurrentRemediationsPerNamespace": 20,
        "concurrentRemediationsPerNode": 20,
        "remediationsPerHour": 1000,
        "storm": {"workloads": 1000},
    },
    "podAnnotations": {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics",
    },
}


@pytest.fixture(scope="package")
def stage(cluster: Cluster, prometheus: Prometheus, loaded_controller_image: str) -> Iterator[Stage]:
    """The controller is installed and runs; nothing leaks yet."""
    load_story_image(cluster)
    _delete_namespaces(cluster)
    for name in _namespaces(cluster):
        cluster.delete_namespace(name, timeout_seconds=180)
    source = {"name": UNRELIABLE, "url": unreliable_prometheus(cluster).url, "sampleInterval": "5s"}
    try:
        install_controller(cluster, prometheus.url, {**VALUES, "metricsSources": [source]})
        yield Stage(cluster, prometheus)
    finally:
        uninstall_controller(cluster)
        _delete_namespaces(cluster)


@pytest.fixture(scope="package")
def performance(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Performance]:
    """The stories of all selected tests; a `LAST_STORY` kills the controller, and is queued last."""
    modules = {item.module: None for item in request.session.items if isinstance(item, pytest.Function)}
    stories = [story for module in modules for story in getattr(module, "STORIES", ())]
    last = [module.LAST_STORY for module in modules if hasattr(module, "LAST_STORY")]
    performance = Performance(stage, [*stories, *last], since=datetime.now(UTC))
    yield performance
    performance.end()


def _namespaces(cluster: Cluster) -> list[str]:
    names = [one["metadata"]["name"] for one in cluster.get("/api/v1/namespaces")["items"]]
    return [name for name in names if name.startswith(PREFIX)]


def _delete_namespaces(cluster: Cluster) -> None:
    if names := _namespaces(cluster):
        cluster.kubectl("delete", "namespace", "--wait=false", *names)
