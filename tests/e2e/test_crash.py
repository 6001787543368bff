"""Killed with `kill -9` after the restart patch, the controller finishes what it had begun, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.demo.stage import CONTROLLER_NAMESPACE, LoadResult, a_policy, deploy, start_load, stop_load
from tests.e2e.performance import ON_STAGE, Performance, Stage, create_namespace

pytestmark = ON_STAGE

NAMESPACE = "e2e-crash"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/api"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was left when it had ended."""

    restarts_before: int
    restarts_after: int
    patched_at: str
    incident_when_killed: dict[str, Any]
    incidents: list[dict[str, Any]]
    deployment: dict[str, Any]
    replica_sets: list[dict[str, Any]]
    load: LoadResult


def kill_after_the_patch(stage: Stage) -> Seen:
    """SIGKILL as soon as the pod template bears the mark of a restart."""
    cluster = stage.cluster
    create_namespace(cluster, NAMESPACE)
    deploy(cluster, NAMESPACE, "story")
    cluster.apply(a_policy(NAMESPACE))
    cluster.wait_for_rollout("Deployment", "api", NAMESPACE)
    start_load(cluster, NAMESPACE)
    pod = stage.controller_pod()
    patched_at = stage.until("the restart is patched", lambda: _restarted_at(cluster.get(DEPLOYMENT)))
    cluster.kill_container(CONTROLLER_NAMESPACE, pod["metadata"]["name"], "controller")
    incident = stage.incident(NAMESPACE)
    assert incident is not None
    closed = stage.remediated_incident(NAMESPACE)
    assert closed["metadata"]["uid"] == incident["metadata"]["uid"]
    sets = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets?labelSelector=app%3Dapi")
    found = cluster.get(f"/apis/bilgepump.dev/v1alpha1/namespaces/{NAMESPACE}/memoryincidents")
    return Seen(
        restarts_before=_restarts(pod),
        restarts_after=_restarts(stage.controller_pod()),
        patched_at=patched_at,
        incident_when_killed=incident,
        incidents=found["items"],
        deployment=cluster.get(DEPLOYMENT),
        replica_sets=sets["items"],
        load=stop_load(cluster, NAMESPACE),
    )


def _restarted_at(deployment: dict[str, Any]) -> str:
    annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get(RESTARTED_AT, ""))


def _restarts(pod: dict[str, Any]) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


LAST_STORY = kill_after_the_patch


@pytest.fixture
def seen(performance: Performance) -> Seen:
    return performance.seen(kill_after_the_patch)


def test_it_really_was_killed_in_the_middle(seen: Seen) -> None:
    assert seen.restarts_after == seen.restarts_before + 1
    assert seen.incident_when_killed["status"]["phase"] == "Restarting"


def test_same_incident_is_finished(seen: Seen) -> None:
    finished = [one for one in seen.incidents if one["status"].get("receipt")]
    assert [one["metadata"]["uid"] for one in finished] == [seen.incident_when_killed["metadata"]["uid"]]
    assert finished[0]["status"]["phase"] == "Resolved"


def test_exactly_one_rollout_happened(seen: Seen) -> None:
    assert len(seen.replica_sets) == 2
    assert _restarted_at(seen.deployment) == seen.patched_at
    assert seen.deployment["metadata"]["generation"] == 2


def test_no_request_failed_meanwhile(seen: Seen) -> None:
    assert seen.load.sent > 5000
    assert seen.load.failed == 0
