"""A restart that must not happen now is held, says why in three places, and comes when the cause is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.demo.stage import events, stop_load
from tests.e2e.performance import ON_STAGE, Performance, Stage, deploy_lone_replica, lone_policy

pytestmark = ON_STAGE

Act = Callable[[Cluster, str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a restart is held; how the cause comes and how it goes."""

    reason: str
    says: str
    tone: str
    come: Act
    go: Act


def _limit_disruptions(cluster: Cluster, namespace: str, *, unavailable: int) -> None:
    patch = f'{{"spec": {{"maxUnavailable": {unavailable}}}}}'
    cluster.kubectl("-n", namespace, "patch", "pdb", "api", "--type=merge", "-p", patch)


def _rollout(cluster: Cluster, namespace: str, *, verb: str) -> None:
    cluster.kubectl("-n", namespace, "rollout", verb, "deployment/api")


def _annotate(cluster: Cluster, namespace: str, *, pause: str) -> None:
    cluster.kubectl("-n", namespace, "annotate", "deployment/api", pause)


CAUSES = {
    "e2e-budget": Cause(
        reason="DisruptionBudgetExhausted",
        says="PodDisruptionBudget api allows no disruption now",
        tone="Normal",
        come=partial(_limit_disruptions, unavailable=0),
        go=partial(_limit_disruptions, unavailable=1),
    ),
    "e2e-rollout": Cause(
        reason="RolloutPaused",
        says="paused",
        tone="Normal",
        come=partial(_rollout, verb="pause"),
        go=partial(_rollout, verb="resume"),
    ),
    "e2e-paused": Cause(
        reason="WorkloadPaused",
        says="Ada: load test until five",
        tone="Normal",
        come=partial(_annotate, pause="bilgepump.dev/paused=Ada: load test until five"),
        go=partial(_annotate, pause="bilgepump.dev/paused-"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen while it was held, and after."""

    cause: Cause
    held: dict[str, Any]
    held_events: list[dict[str, Any]]
    held_workloads: float | None
    holds_total: float | None
    pods_before: frozenset[str]
    pods_held: frozenset[str]
    pods_after: frozenset[str]
    incident: dict[str, Any]


def hold(stage: Stage, *, namespace: str) -> Seen:
    """The cause is there when the leak comes, and goes when the hold has been seen for some sweeps."""
    cluster, cause = stage.cluster, CAUSES[namespace]
    before = deploy_lone_replica(stage, namespace)
    cause.come(cluster, namespace)
    cluster.apply(lone_policy(namespace))
    labels = {"namespace": namespace, "reason": cause.reason}
    # First of all: a counter is its process's own, and the last story kills the controller.
    total = stage.until("the hold is counted", lambda: stage.metric("bilgepump_holds_total", **labels))
    stage.held_incident(namespace, cause.reason)
    workloads = stage.until("it is held now", lambda: stage.metric("bilgepump_held_workloads", **labels))
    stage.wait_for_sweeps(4)
    held = stage.held_incident(namespace, cause.reason)
    told = [one for one in events(cluster, namespace) if one["reason"] == f"Held{cause.reason}"]
    pods_held = stage.uids(namespace)
    cause.go(cluster, namespace)
    incident = stage.remediated_incident(namespace)
    stop_load(cluster, namespace)
    return Seen(
        cause=cause,
        held=held["status"],
        held_events=told,
        held_workloads=workloads,
        holds_total=total,
        pods_before=before,
        pods_held=pods_held,
        pods_after=stage.uids(namespace),
        incident=incident,
    )


HOLDS = {namespace: partial(hold, namespace=namespace) for namespace in CAUSES}
STORIES = tuple(HOLDS.values())


@pytest.fixture(params=[pytest.param(HOLDS[namespace], id=CAUSES[namespace].reason) for namespace in CAUSES])
def seen(request: pytest.FixtureRequest, performance: Performance) -> Seen:
    told: Seen = performance.seen(request.param)
    return told


def test_nothing_is_restarted_while_it_is_held(seen: Seen) -> None:
    assert seen.pods_held == seen.pods_before


def test_incident_tells_the_reason_and_all_gates_that_hold(seen: Seen) -> None:
    assert seen.held["phase"] == "Held"
    assert seen.cause.says in seen.held["message"]
    assert seen.held["gates"][0]["reason"] == seen.cause.reason


def test_one_event_on_the_workload_tells_the_reason(seen: Seen) -> None:
    (event,) = seen.held_events
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Deployment", "api")
    assert event["type"] == seen.cause.tone
    assert seen.cause.says in event["message"]


def test_metrics_count_it(seen: Seen) -> None:
    assert seen.held_workloads == 1
    assert seen.holds_total
    assert seen.holds_total >= 1


def test_restart_happens_when_the_cause_is_gone(seen: Seen) -> None:
    assert seen.incident["status"]["phase"] == "Resolved"
    assert not seen.pods_after & seen.pods_before
