"""Healthy services under a Remediate policy are left alone, however high their memory is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.demo.stage import a_policy, deploy, incidents
from tests.e2e.performance import ON_STAGE, Performance, Stage, create_namespace

pytestmark = ON_STAGE

NAMESPACE = "e2e-neighbours"
NAMES = ("warmup", "sawtooth")
SHORTEST_SECONDS = 240.0
"""The warm-up takes two minutes, a tooth of the sawtooth 40 s: less time would prove nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The neighbours' pods when they began."""

    pods: dict[str, frozenset[str]]


def stay_healthy(stage: Stage) -> Seen:
    """A warm-up that ends in a plateau, and a garbage collector's big sawtooth."""
    cluster = stage.cluster
    create_namespace(cluster, NAMESPACE)
    deploy(cluster, NAMESPACE, *NAMES)
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": list(NAMES)}]}
    cluster.apply(a_policy(NAMESPACE, "neighbours", target={"selector": selector}))
    for name in NAMES:
        cluster.wait_for_rollout("Deployment", name, NAMESPACE)
    pods = {name: stage.uids(NAMESPACE, name) for name in NAMES}
    oldest = f'min(time() - container_start_time_seconds{{namespace="{NAMESPACE}",container="app"}})'
    stage.until(
        "the neighbours have run long enough to be judged",
        lambda: any(float(one["value"][1]) > SHORTEST_SECONDS for one in stage.prometheus.query(oldest)),
    )
    return Seen(pods)


STORIES = (stay_healthy,)


@pytest.mark.parametrize("name", NAMES)
def test_healthy_service_is_never_restarted(performance: Performance, name: str) -> None:
    seen = performance.seen(stay_healthy)
    performance.wait_for_all()
    assert performance.stage.uids(NAMESPACE, name) == seen.pods[name]


@pytest.mark.parametrize("name", NAMES)
def test_healthy_service_is_never_called_leaking(performance: Performance, name: str) -> None:
    performance.seen(stay_healthy)
    performance.wait_for_all()
    for incident in incidents(performance.stage.cluster, NAMESPACE):
        if incident["spec"]["workload"]["name"] == name:
            assert "Leaking" not in [entry["what"] for entry in incident["status"]["timeline"]]


def test_both_are_governed_and_judged(performance: Performance) -> None:
    performance.seen(stay_healthy)
    policy = performance.stage.cluster.get(
        f"/apis/bilgepump.dev/v1alpha1/namespaces/{NAMESPACE}/memorypolicies/neighbours"
    )
    assert policy["status"]["workloads"] == len(NAMES)
    assert performance.stage.condition(NAMESPACE, "neighbours", "MetricsAvailable")["status"] == "True"
