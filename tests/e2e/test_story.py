"""The story: a service leaks under load, is found, its heap is kept, it is restarted, nobody notices."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.demo.stage import LoadResult, a_policy, deploy, events, start_load, stop_load
from tests.e2e.performance import MIB, ON_STAGE, Performance, Stage, create_namespace

pytestmark = ON_STAGE

EVIDENCE = "/var/lib/bilgepump/evidence"
PATHS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What people see when it is over."""

    namespace: str
    kind: str
    name: str
    pods_before: frozenset[str]
    pods_after: frozenset[str]
    template_before: dict[str, Any]
    template_after: dict[str, Any]
    memory_after_bytes: float
    incident: dict[str, Any]
    events: list[dict[str, Any]]
    load: LoadResult

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.incident["status"]
        return status


def leak(stage: Stage, *, namespace: str, kind: str, name: str, manifest: str) -> Seen:
    """From the first request to the incident's end, by a rolling restart."""
    cluster = stage.cluster
    create_namespace(cluster, namespace)
    deploy(cluster, namespace, manifest)
    target = {"selector": {"matchLabels": {"app": name}}, "containers": ["app"]}
    remediation = {"leadTime": "1m", "cooldown": "10m", "strategy": "RollingRestart"}
    cluster.apply(a_policy(namespace, target=target, remediation=remediation))
    workload = cluster.wait_for_rollout(kind, name, namespace)
    before = stage.uids(namespace, name)
    start_load(cluster, namespace, service=name)
    incident = stage.remediated_incident(namespace)
    after = cluster.get(f"/apis/apps/v1/namespaces/{namespace}/{PATHS[kind]}/{name}")
    return Seen(
        namespace=namespace,
        kind=kind,
        name=name,
        pods_before=before,
        pods_after=stage.uids(namespace, name),
        template_before=workload["spec"]["template"],
        template_after=after["spec"]["template"],
        memory_after_bytes=stage.memory_bytes(namespace),
        incident=incident,
        events=events(cluster, namespace),
        load=stop_load(cluster, namespace),
    )


DEPLOYMENT = partial(leak, namespace="e2e-shop", kind="Deployment", name="api", manifest="story")
STATEFUL_SET = partial(
    leak, namespace="e2e-basket", kind="StatefulSet", name="basket", manifest="story-statefulset"
)
STORIES = (DEPLOYMENT, STATEFUL_SET)


@pytest.fixture(
    params=[pytest.param(DEPLOYMENT, id="Deployment"), pytest.param(STATEFUL_SET, id="StatefulSet")]
)
def seen(request: pytest.FixtureRequest, performance: Performance) -> Seen:
    told: Seen = performance.seen(request.param)
    return told


def test_no_request_fails(seen: Seen) -> None:
    assert seen.load.sent > 5000
    assert seen.load.failed == 0


def test_incident_is_resolved_and_tells_every_step_in_order(seen: Seen) -> None:
    assert seen.status["phase"] == "Resolved"
    assert seen.status["because"] == "Recovered"
    steps = [entry["what"] for entry in seen.status["timeline"]]
    for wanted in (
        ["Leaking", "RestartOrdered", "RestartStarted", "RolledOut", "Recovered"],
        ["ProfilesKept", "RestartOrdered"],
    ):
        rest = iter(steps)
        assert all(step in rest for step in wanted), steps


def test_every_pod_is_new_by_one_rolling_restart(seen: Seen, performance: Performance) -> None:
    assert len(seen.pods_before) == len(seen.pods_after) == 3
    assert not seen.pods_before & seen.pods_after
    patches = [
        event
        for event in performance.stage.requests(performance.since)
        if event.namespace == seen.namespace and event.group == "apps" and event.verb == "patch"
    ]
    assert [event.dry_run for event in patches if event.status_code == 200] == [True, False]


def test_only_two_annotations_of_the_pod_template_changed(seen: Seen) -> None:
    annotations = seen.template_after["metadata"]["annotations"]
    assert annotations.pop("bilgepump.dev/incident") == seen.incident["metadata"]["name"]
    assert annotations.pop("kubectl.kubernetes.io/restartedAt")
    assert seen.template_after == seen.template_before


def test_memory_came_down_and_that_is_proven(seen: Seen) -> None:
    recovery, peak = seen.status["recovery"], seen.status["order"]["memoryBeforeBytes"]
    assert recovery["outcome"] == "Recovered"
    assert recovery["memoryAfterBytes"] < 0.8 * peak
    assert recovery["memoryAfterBytes"] < 2 * recovery["memoryBeforeBytes"]
    assert 0 < seen.memory_after_bytes < 0.8 * peak


def test_restart_came_before_the_limit_and_not_at_once(seen: Seen) -> None:
    limit, used = 128 * MIB, seen.status["order"]["memoryBeforeBytes"]
    assert 0.4 * limit < used < 0.9 * limit


def test_events_stand_on_workload_and_pod(seen: Seen) -> None:
    told = {(one["involvedObject"]["kind"], one["reason"]) for one in seen.events}
    assert told >= {
        (seen.kind, "MemoryLeakDetected"),
        ("Pod", "MemoryLeakDetected"),
        (seen.kind, "HeapProfileKept"),
        (seen.kind, "LeakRestartStarted"),
        (seen.kind, "LeakRecoveryConfirmed"),
    }
    for one in seen.events:
        assert one["message"]
        assert one["involvedObject"]["uid"]


def test_kubectl_get_memi_reads_like_the_story(seen: Seen, performance: Performance) -> None:
    table = performance.stage.cluster.kubectl("-n", seen.namespace, "get", "memi").stdout
    heading, *rows = table.splitlines()
    assert heading.split()[:5] == ["NAME", "WORKLOAD", "CLASS", "GROWTH", "THRESHOLD-AT"], heading
    (row,) = (row for row in rows if row.startswith(seen.incident["metadata"]["name"]))
    assert f"{seen.kind}/{seen.name}" in row
    assert "Resolved" in row
    assert "Recovered" in row


def test_kept_heap_is_whole_and_shows_what_leaks(
    seen: Seen, performance: Performance, tmp_path: Path
) -> None:
    cluster = performance.stage.cluster
    pod = performance.stage.controller_pod()["metadata"]
    cluster.kubectl("-n", pod["namespace"], "cp", f"{pod['name']}:{EVIDENCE}", str(tmp_path))
    kept = [file for file in seen.status["evidence"] if file.get("uri")]
    assert {file["kind"] for file in kept} >= {"heap", "goroutine"}
    assert {file["label"] for file in kept} >= {"late"}
    for file in kept:
        content = _copied(tmp_path, file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["sizeBytes"]
    (heap,) = (file for file in kept if (file["kind"], file["label"]) == ("heap", "late"))
    top = subprocess.run(
        ["go", "tool", "pprof", "-top", "-cum", "-sample_index=inuse_space", str(_copied(tmp_path, heap))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Type: inuse_space" in top
    assert "session.(*Store).Remember" in top


def _copied(folder: Path, file: dict[str, Any]) -> Path:
    return folder / file["uri"].removeprefix(f"file://{EVIDENCE}/")
