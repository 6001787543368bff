"""A healthy service is restarted because a person asks, through the same gates and into an incident."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.stage import a_policy, deploy
from tests.e2e.performance import ON_STAGE, Performance, Stage, create_namespace

pytestmark = ON_STAGE

NAMESPACE = "e2e-by-hand"
APP = "warmup"
WHY = "before the sale"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the commands answered, and the pods before."""

    pods: frozenset[str]
    held: subprocess.CompletedProcess[str]
    restarted: subprocess.CompletedProcess[str]
    incident: dict[str, Any]


def ask_by_hand(stage: Stage) -> Seen:
    """Paused, a request is held; resumed, the next one is carried out and verified."""
    cluster = stage.cluster
    create_namespace(cluster, NAMESPACE)
    deploy(cluster, NAMESPACE, APP)
    cluster.apply(a_policy(NAMESPACE, APP, target={"selector": {"matchLabels": {"app": APP}}}))
    cluster.wait_for_rollout("Deployment", APP, NAMESPACE)
    pods = stage.uids(NAMESPACE, APP)
    stage.wait_for_condition(NAMESPACE, APP, "MetricsAvailable", "True")
    by_hand(stage, "pause", f"deploy/{APP}", "--why", "not now")
    held = by_hand(stage, "restart", f"deploy/{APP}", "--why", WHY, "--wait", "5m", "-o", "json")
    by_hand(stage, "resume", f"deploy/{APP}")
    restarted = by_hand(stage, "restart", f"deploy/{APP}", "--why", WHY, "--wait", "5m", "-o", "json")
    incident = stage.remediated_incident(NAMESPACE)
    return Seen(pods, held, restarted, incident)


def by_hand(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kubectl-bilgepump")
    where = ["--kubeconfig", str(stage.cluster.kubeconfig), "-n", NAMESPACE]
    return subprocess.run([program, *words, *where], capture_output=True, text=True, timeout=600)


STORIES = (ask_by_hand,)


def test_gate_that_holds_answers_the_request(performance: Performance) -> None:
    held = performance.seen(ask_by_hand).held
    assert held.returncode == 3, held.stderr
    assert "WorkloadPaused" in json.loads(held.stdout)["heldBecause"]


def test_request_is_carried_out_once_its_gates_open_and_verified(performance: Performance) -> None:
    seen = performance.seen(ask_by_hand)
    asked = json.loads(seen.restarted.stdout)
    assert asked["done"] or set(asked["heldBecause"]) <= {"TooYoung", "RecentDeploy"}, asked
    assert performance.stage.uids(NAMESPACE, APP).isdisjoint(seen.pods)
    timeline = seen.incident["status"]["timeline"]
    asked_for = [entry["message"] for entry in timeline if entry["what"] == "RestartRequested"]
    assert len(asked_for) == 2
    assert all(WHY in message for message in asked_for)
    assert [entry["what"] for entry in timeline].count("RestartOrdered") == 1
    assert seen.incident["status"]["phase"] == "Resolved"


def test_people_are_told_on_the_workload(performance: Performance) -> None:
    performance.seen(ask_by_hand)
    told = performance.stage.cluster.kubectl("get", "events", "-n", NAMESPACE, "-o", "json").stdout
    reasons = {one["reason"] for one in json.loads(told)["items"] if one["involvedObject"]["name"] == APP}
    assert {"RequestReceived", "HeldWorkloadPaused", "LeakRestartStarted"} <= reasons
