"""A policy governs its own namespace; Observe only looks; people need the right that a policy hands on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.demo.stage import a_policy, events, incidents, stop_load
from tests.e2e.performance import (
    LONE_THRESHOLD_MIB,
    MIB,
    ON_STAGE,
    Performance,
    Stage,
    create_namespace,
    deploy_lone_replica,
    lone_policy,
)

pytestmark = ON_STAGE

OBSERVED = "e2e-observed"
UNGOVERNED = "e2e-ungoverned"
"""It holds the same Deployment with the same labels as the namespaces beside it, and no policy."""
AUTHORS = "e2e-authors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A leaking service that nobody may touch."""

    pods_before: frozenset[str]
    pods_after: frozenset[str]
    workload_before: dict[str, Any]
    workload_after: dict[str, Any]
    memory_bytes: float
    incident: dict[str, Any] | None
    events: list[dict[str, Any]]


def observe(stage: Stage) -> Seen:
    """A leak under a policy that leaves out `mode`."""
    return _leak_untouched(stage, OBSERVED, governed=True)


def leave_alone(stage: Stage) -> Seen:
    """A leak without a policy."""
    return _leak_untouched(stage, UNGOVERNED, governed=False)


def _leak_untouched(stage: Stage, namespace: str, *, governed: bool) -> Seen:
    cluster = stage.cluster
    before, workload = deploy_lone_replica(stage, namespace), _workload(cluster, namespace)
    if governed:
        policy = lone_policy(namespace)
        del policy["spec"]["mode"]
        cluster.apply(policy)
    incident = stage.held_incident(namespace, "ObserveOnly") if governed else None
    stage.until(
        "memory is over the threshold", lambda: stage.memory_bytes(namespace) > LONE_THRESHOLD_MIB * MIB
    )
    stage.wait_for_sweeps(3)
    memory = stage.memory_bytes(namespace)
    stop_load(cluster, namespace)
    return Seen(
        pods_before=before,
        pods_after=stage.uids(namespace),
        workload_before=workload,
        workload_after=_workload(cluster, namespace),
        memory_bytes=memory,
        incident=incident,
        events=events(cluster, namespace),
    )


def _workload(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """What people wrote of it."""
    document = cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/api")
    metadata = document["metadata"]
    return {
        "spec": document["spec"],
        "labels": metadata["labels"],
        "generation": metadata["generation"],
        "finalizers": metadata.get("finalizers"),
    }


STORIES = (observe, leave_alone)


def test_observed_leak_is_found_and_told(performance: Performance) -> None:
    seen = performance.seen(observe)
    assert seen.incident is not None
    assert seen.incident["status"]["phase"] == "Observed"
    assert {one["reason"] for one in seen.events} >= {"MemoryLeakDetected", "HeldObserveOnly"}


def test_observed_leak_is_left_as_it_is(performance: Performance) -> None:
    seen = performance.seen(observe)
    assert seen.memory_bytes > LONE_THRESHOLD_MIB * MIB
    assert seen.pods_after == seen.pods_before
    assert seen.workload_after == seen.workload_before
    assert seen.incident is not None
    assert not seen.incident["status"].get("evidence")


def test_policy_never_touches_another_namespaces_workload(performance: Performance) -> None:
    seen = performance.seen(leave_alone)
    performance.wait_for_all()
    assert seen.memory_bytes > LONE_THRESHOLD_MIB * MIB
    assert performance.stage.uids(UNGOVERNED) == seen.pods_before
    assert _workload(performance.stage.cluster, UNGOVERNED) == seen.workload_before
    assert incidents(performance.stage.cluster, UNGOVERNED) == []
    assert events(performance.stage.cluster, UNGOVERNED) == []


@pytest.fixture(scope="module")
def author(stage: Stage) -> str:
    """A ServiceAccount that may write policies and nothing else, in a namespace of its own."""
    cluster = stage.cluster
    create_namespace(cluster, AUTHORS)
    cluster.kubectl("-n", AUTHORS, "create", "serviceaccount", "author")
    cluster.kubectl(
        "-n",
        AUTHORS,
        "create",
        "rolebinding",
        "author",
        "--clusterrole=bilgepump-edit",
        f"--serviceaccount={AUTHORS}:author",
    )
    return f"system:serviceaccount:{AUTHORS}:author"


def _write(cluster: Cluster, author: str, mode: str) -> CompletedProcess[str]:
    policy = json.dumps(a_policy(AUTHORS, mode.lower(), mode=mode))
    return cluster.kubectl("create", f"--as={author}", "-f", "-", stdin=policy, check=False)


def test_author_without_the_right_to_patch_may_not_remediate(stage: Stage, author: str) -> None:
    answer = _write(stage.cluster, author, "Remediate")
    assert answer.returncode != 0
    assert f"must have the right to patch deployments in namespace {AUTHORS}" in answer.stderr


def test_author_without_the_right_to_patch_may_observe(stage: Stage, author: str) -> None:
    answer = _write(stage.cluster, author, "Observe")
    assert answer.returncode == 0, answer.stderr
    stage.wait_for_condition(AUTHORS, "observe", "Accepted", "True")
