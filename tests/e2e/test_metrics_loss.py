"""Without metrics nothing is judged and nothing is done; with them back it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.demo.stage import events, stop_load
from tests.e2e.performance import (
    LONE_THRESHOLD_MIB,
    MIB,
    ON_STAGE,
    Performance,
    Stage,
    deploy_lone_replica,
    lone_policy,
)

pytestmark = ON_STAGE

UNRELIABLE = "unreliable"
"""The metrics source, by name, that this story's policy uses and that goes down."""
PORT = 9091
NAMESPACE = "e2e-blind"
LATE_MIB = 80
"""Metrics are lost when the threshold is half a minute away."""


def unreliable_prometheus(cluster: Cluster) -> Prometheus:
    """A second Prometheus, so that the other stories keep theirs."""
    return Prometheus(cluster, name="prometheus-unreliable", port=PORT)


def empty_prometheus(cluster: Cluster) -> Prometheus:
    """One that stands in the same place and never has any data."""
    return Prometheus(cluster, name="prometheus-empty", port=PORT, scrapes=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen as metrics went and came."""

    empty: dict[str, Any]
    down: dict[str, Any]
    default_source_while_down: float | None
    pods_before: frozenset[str]
    pods_while_down: frozenset[str]
    memory_while_down_bytes: float
    incident_while_down: dict[str, Any]
    incident: dict[str, Any]
    pods_after: frozenset[str]
    reasons: list[str]


def lose_metrics(stage: Stage) -> Seen:
    """An empty Prometheus; a good one; none while memory passes the threshold; the good one again."""
    cluster = stage.cluster
    nothing, whole = empty_prometheus(cluster), unreliable_prometheus(cluster)
    whole.stop()
    nothing.start()
    before = deploy_lone_replica(stage, NAMESPACE)
    # It acts as late as it may, so that metrics can be lost before it does.
    late = {"leadTime": "10s", "cooldown": "10m"}
    cluster.apply(lone_policy(NAMESPACE, metrics={"source": UNRELIABLE}, remediation=late))
    empty = stage.wait_for_condition(NAMESPACE, "api", "MetricsAvailable", "False")
    nothing.stop()
    whole.start()
    stage.wait_for_condition(NAMESPACE, "api", "MetricsAvailable", "True")
    stage.until("an incident is open", lambda: stage.incident(NAMESPACE))
    stage.until("the threshold is near", lambda: stage.memory_bytes(NAMESPACE) > LATE_MIB * MIB)
    whole.stop()
    down = stage.wait_for_condition(NAMESPACE, "api", "MetricsAvailable", "False")
    threshold = LONE_THRESHOLD_MIB * MIB
    stage.until("memory is over the threshold", lambda: stage.memory_bytes(NAMESPACE) > threshold)
    stage.wait_for_sweeps(3)
    while_down, memory = stage.uids(NAMESPACE), stage.memory_bytes(NAMESPACE)
    incident_while_down = stage.incident(NAMESPACE)
    assert incident_while_down is not None
    others = stage.until(
        "the other source is told as available",
        lambda: stage.metric("bilgepump_metrics_source_available", source="default"),
    )
    whole.start()
    stage.wait_for_condition(NAMESPACE, "api", "MetricsAvailable", "True")
    incident = stage.remediated_incident(NAMESPACE)
    stop_load(cluster, NAMESPACE)
    whole.stop()
    return Seen(
        empty=empty,
        down=down,
        default_source_while_down=others,
        pods_before=before,
        pods_while_down=while_down,
        memory_while_down_bytes=memory,
        incident_while_down=incident_while_down,
        incident=incident,
        pods_after=stage.uids(NAMESPACE),
        reasons=[one["reason"] for one in events(cluster, NAMESPACE) if _on_policy(one)],
    )


def _on_policy(event: dict[str, Any]) -> bool:
    return bool(event["involvedObject"]["kind"] == "MemoryPolicy")


STORIES = (lose_metrics,)


@pytest.fixture
def seen(performance: Performance) -> Seen:
    return performance.seen(lose_metrics)


def test_empty_prometheus_is_told_as_missing_metrics(seen: Seen) -> None:
    assert seen.empty["reason"] == "MetricsUnavailable"
    assert "knows no container memory" in seen.empty["message"]


def test_prometheus_that_is_down_is_told_with_its_name(seen: Seen) -> None:
    assert seen.down["reason"] == "MetricsUnavailable"
    assert f"'{UNRELIABLE}'" in seen.down["message"]


def test_nothing_is_restarted_without_metrics(seen: Seen) -> None:
    assert seen.memory_while_down_bytes > LONE_THRESHOLD_MIB * MIB
    assert seen.pods_while_down == seen.pods_before
    assert "order" not in seen.incident_while_down["status"]


def test_other_sources_are_not_affected(seen: Seen) -> None:
    assert seen.default_source_while_down == 1


def test_it_goes_on_when_metrics_are_back(seen: Seen) -> None:
    assert seen.incident["status"]["phase"] == "Resolved"
    assert seen.incident["metadata"]["name"] == seen.incident_while_down["metadata"]["name"]
    assert not seen.pods_after & seen.pods_before


def test_policy_is_told_of_loss_and_return(seen: Seen) -> None:
    assert {"MetricsUnavailable", "MetricsRestored"} <= set(seen.reasons)
