"""Few leak, or their workload is a StatefulSet: single replicas are replaced, and nobody notices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.audit import AuditEvent
from tests.demo.stage import MANIFESTS, LoadResult, a_policy, deploy, start_load, stop_load
from tests.e2e.performance import ON_STAGE, Performance, Stage, create_namespace

pytestmark = ON_STAGE

REPLACE, EVICT = "e2e-replace", "e2e-evict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What people see when it is over."""

    namespace: str
    leaking: str
    """The uid of the one pod that leaks; empty where all do."""
    pods_before: frozenset[str]
    pods_after: frozenset[str]
    marked: list[str]
    """Pods that still bear our mark."""
    workload: dict[str, Any]
    budget: dict[str, Any]
    incident: dict[str, Any]
    load: LoadResult

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.incident["status"]
        return status


def one_leaks(stage: Stage) -> Seen:
    """One of a Deployment's three pods leaks."""
    cluster = stage.cluster
    create_namespace(cluster, REPLACE)
    cluster.apply(*_healthy(MANIFESTS / "story.yaml", REPLACE))
    cluster.apply(a_policy(REPLACE))
    cluster.wait_for_rollout("Deployment", "api", REPLACE)
    leaking = cluster.pods(REPLACE, "app=api")[0]["metadata"]
    before = stage.uids(REPLACE)
    switch = f"/api/v1/namespaces/{REPLACE}/pods/{leaking['name']}:6060/proxy/debug/leak/on"
    cluster.kubectl("create", "--raw", switch, "-f", "/dev/null")
    start_load(cluster, REPLACE)
    return _seen(stage, REPLACE, "deployments", "api", before, leaking["uid"])


def all_of_a_statefulset_leak(stage: Stage) -> Seen:
    """All of a StatefulSet's three pods leak."""
    cluster = stage.cluster
    create_namespace(cluster, EVICT)
    deploy(cluster, EVICT, "story-statefulset")
    target = {"selector": {"matchLabels": {"app": "basket"}}, "containers": ["app"]}
    cluster.apply(a_policy(EVICT, target=target))
    cluster.wait_for_rollout("StatefulSet", "basket", EVICT)
    before = stage.uids(EVICT, "basket")
    start_load(cluster, EVICT, service="basket")
    return _seen(stage, EVICT, "statefulsets", "basket", before, "")


def _healthy(manifest: Path, namespace: str) -> list[dict[str, Any]]:
    """The story's objects, with the leak switched off."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(manifest.read_text()))
    for document in documents:
        document["metadata"]["namespace"] = namespace
        if document["kind"] == "Deployment" and document["metadata"]["name"] == "api":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            (leaks,) = (one for one in container["env"] if one["name"] == "LEAKS")
            leaks["value"] = "false"
    return documents


def _seen(stage: Stage, namespace: str, plural: str, name: str, before: frozenset[str], leaking: str) -> Seen:
    incident = stage.remediated_incident(namespace)
    cluster = stage.cluster
    stage.until("three pods are left", lambda: len(stage.uids(namespace, name)) == 3)
    return Seen(
        namespace=namespace,
        leaking=leaking,
        pods_before=before,
        pods_after=stage.uids(namespace, name),
        marked=[one["metadata"]["name"] for one in cluster.pods(namespace, "bilgepump.dev/incident")],
        workload=cluster.get(f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}"),
        budget=cluster.get(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}"),
        incident=incident,
        load=stop_load(cluster, namespace),
    )


STORIES = (one_leaks, all_of_a_statefulset_leak)


@pytest.fixture
def replaced(performance: Performance) -> Seen:
    return performance.seen(one_leaks)


@pytest.fixture
def evicted(performance: Performance) -> Seen:
    return performance.seen(all_of_a_statefulset_leak)


@pytest.fixture(
    params=[pytest.param(one_leaks, id="Replace"), pytest.param(all_of_a_statefulset_leak, id="Evict")]
)
def seen(request: pytest.FixtureRequest, performance: Performance) -> Seen:
    told: Seen = performance.seen(request.param)
    return told


def test_no_request_fails(seen: Seen) -> None:
    assert seen.load.sent > 5000
    assert seen.load.failed == 0


def test_incident_is_resolved_and_says_why_it_was_done_so(seen: Seen) -> None:
    assert (seen.status["phase"], seen.status["because"]) == ("Resolved", "Recovered"), seen.status["message"]
    (ordered,) = (entry for entry in seen.status["timeline"] if entry["what"] == "RestartOrdered")
    assert "replicas grow" in ordered["message"]


def test_nothing_is_left_behind_and_the_budget_is_right(seen: Seen) -> None:
    assert seen.marked == []
    assert seen.budget["status"]["expectedPods"] == seen.budget["status"]["currentHealthy"] == 3
    assert seen.budget["status"]["disruptionsAllowed"] == 1


def test_template_is_untouched(seen: Seen) -> None:
    assert seen.workload["metadata"]["generation"] == 1


def test_only_the_leaking_pod_is_replaced(replaced: Seen) -> None:
    assert replaced.status["order"]["mechanism"] == "Replace"
    assert replaced.status["order"]["replicaUids"] == [replaced.leaking]
    assert replaced.pods_before - replaced.pods_after == {replaced.leaking}


def test_replaced_pod_is_released_and_then_deleted(replaced: Seen, performance: Performance) -> None:
    acts = [one for one in _acts(performance, REPLACE) if not one.dry_run]
    assert [one.kind_of_write for one in acts] == ["patch pods", "delete pods"]


def test_every_pod_of_the_statefulset_is_evicted_once(evicted: Seen, performance: Performance) -> None:
    assert evicted.status["order"]["mechanism"] == "Evict"
    assert not evicted.pods_before & evicted.pods_after
    acts = [one for one in _acts(performance, EVICT) if one.status_code == 201]
    assert [(one.kind_of_write, one.name) for one in acts] == [
        ("create pods/eviction", f"basket-{ordinal}") for ordinal in (2, 1, 0)
    ]


def _acts(performance: Performance, namespace: str) -> list[AuditEvent]:
    """What the controller did to pods."""
    return [
        one
        for one in performance.stage.requests(performance.since)
        if one.namespace == namespace and one.resource == "pods" and one.verb not in ("get", "list")
    ]
