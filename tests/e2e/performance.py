"""
Stories on the real cluster, played side by side.

A story is a function of the stage: it makes a namespace, lets a service leak, waits for what should happen
and returns what it saw. It takes minutes, nearly all of them waiting; so several are played at once, each in
a namespace of its own, and the tests ask for what was seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.audit import AuditEvent, service_account_user
from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.cluster.waiting import wait_until
from tests.demo.stage import (
    CONTROLLER_NAMESPACE,
    RELEASE,
    a_policy,
    deploy_alone,
    incidents,
    start_load,
)

ON_STAGE = [pytest.mark.cluster, pytest.mark.timeout(3000)]
"""Marks of tests that ask for what stories saw: the first of them waits for all stories of the session."""
STORY_SECONDS = 900.0
STORIES_AT_ONCE = 6
"""Services under load, restarted within seconds: more of them starve each other on a machine of two cores."""
POLL_SECONDS = 0.5
METRICS = f"/api/v1/namespaces/{CONTROLLER_NAMESPACE}/services/{RELEASE}:http/proxy/metrics"
CONTROLLER = service_account_user(CONTROLLER_NAMESPACE, RELEASE)
MIB = 2**20
LONE_THRESHOLD_MIB, LONE_LIMIT_MIB = 90, 192
"""Of a lone replica: it lives on for minutes above its threshold, for what has to be seen there."""

Answer = TypeVar("Answer")
Seen = TypeVar("Seen")


class CurtainFallen(Exception):
    """The session ended before the story did."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every story plays on."""

    cluster: Cluster
    prometheus: Prometheus
    fallen: threading.Event = field(default_factory=threading.Event)

    def until(self, description: str, condition: Callable[[], Answer | None]) -> Answer:
        """Waits for a condition. Raises WaitTimeout when it takes too long."""

        def asked() -> Answer | None:
            if self.fallen.is_set():
                raise CurtainFallen(description)
            return condition()

        return wait_until(description, asked, timeout_seconds=STORY_SECONDS, poll_seconds=POLL_SECONDS)

    def incident(self, namespace: str) -> dict[str, Any] | None:
        """The oldest incident of a namespace that has a status: the one its story is about."""
        found = incidents(self.cluster, namespace)
        return found[0] if found and "status" in found[0] else None

    def remediated_incident(self, namespace: str) -> dict[str, Any]:
        """Waits until it is known, for the first incident, whether its remediation helped."""

        def remediated() -> dict[str, Any] | None:
            incident = self.incident(namespace)
            return incident if incident and "recovery" in incident["status"] else None

        return self.until(f"the remediation in {namespace} has ended", remediated)

    def held_incident(self, namespace: str, reason: str) -> dict[str, Any]:
        """Waits until the first incident says `reason`. Fails when it is restarted instead."""

        def held() -> dict[str, Any] | None:
            incident = self.incident(namespace)
            assert not (incident and "order" in incident["status"]), f"restarted in spite of {reason}"
            return incident if incident and incident["status"]["because"] == reason else None

        return self.until(f"the incident in {namespace} is held because of {reason}", held)

    def uids(self, namespace: str, app: str = "api") -> frozenset[str]:
        """The uids of an app's pods."""
        return frozenset(pod["metadata"]["uid"] for pod in self.cluster.pods(namespace, f"app={app}"))

    def memory_bytes(self, namespace: str) -> float:
        """The working set of the fullest `app` container of a namespace, from Prometheus."""
        series = self.prometheus.query(
            f'max(container_memory_working_set_bytes{{namespace="{namespace}",container="app"}})'
        )
        return float(series[0]["value"][1]) if series else 0.0

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of the controller's own metrics; None while it is not there, or nobody answers."""
        try:
            text = self.cluster.get_text(METRICS)
        except OSError:
            return None
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return next((one.value for one in samples if one.name == name and one.labels == labels), None)

    def wait_for_sweeps(self, number: int) -> None:
        """Waits until so many more sweeps are done."""
        ends: set[float] = set()

        def done() -> bool:
            if (end := self.metric("bilgepump_last_sweep_timestamp_seconds")) is not None:
                ends.add(end)
            return len(ends) > number

        self.until(f"{number} sweeps are done", done)

    def condition(self, namespace: str, policy: str, kind: str) -> dict[str, Any] | None:
        """A condition of a policy's status."""
        document = self.cluster.get(
            f"/apis/bilgepump.dev/v1alpha1/namespaces/{namespace}/memorypolicies/{policy}"
        )
        conditions = document.get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), None)

    def wait_for_condition(self, namespace: str, policy: str, kind: str, status: str) -> dict[str, Any]:
        """Waits until a policy's condition has a status."""

        def has_it() -> dict[str, Any] | None:
            found = self.condition(namespace, policy, kind)
            return found if found and found["status"] == status else None

        return self.until(f"{kind} of {namespace}/{policy} is {status}", has_it)

    def controller_pod(self) -> dict[str, Any]:
        """The controller's pod."""
        (pod,) = self.cluster.pods(CONTROLLER_NAMESPACE)
        return pod

    def requests(self, since: datetime) -> tuple[AuditEvent, ...]:
        """The controller's requests, from the API server's audit log."""
        return self.cluster.audit_events(user=CONTROLLER, since=since)


Story = Callable[[Stage], Any]


class Performance:
    """All stories of a session, under way."""

    def __init__(self, stage: Stage, stories: Iterable[Story], since: datetime) -> None:
        self.stage = stage
        self.since = since
        self._pool = ThreadPoolExecutor(max_workers=STORIES_AT_ONCE)
        self._played: dict[Story, Future[Any]] = {
            story: self._pool.submit(story, stage) for story in dict.fromkeys(stories)
        }

    def seen(self, story: Callable[[Stage], Seen]) -> Seen:
        """What a story saw, when it has ended. Raises what it raised."""
        seen: Seen = self._played[story].result()
        return seen

    def wait_for_all(self) -> None:
        """Waits until every story has ended, well or not: each is judged by its own tests."""
        wait(self._played.values())

    def end(self) -> None:
        """Lets the curtain fall."""
        self.stage.fallen.set()
        self._pool.shutdown(cancel_futures=True)


def create_namespace(cluster: Cluster, name: str) -> None:
    """A namespace that admits restricted pods only, as a careful team has it."""
    cluster.create_namespace(name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


def deploy_lone_replica(stage: Stage, namespace: str) -> frozenset[str]:
    """A namespace with one replica of the leaking service under load, and the uid of its pod."""
    create_namespace(stage.cluster, namespace)
    deploy_alone(stage.cluster, namespace, memory_limit=f"{LONE_LIMIT_MIB}Mi")
    start_load(stage.cluster, namespace, requests_per_second=20)
    stage.cluster.wait_for_rollout("Deployment", "api", namespace)
    return stage.uids(namespace)


def lone_policy(namespace: str, **spec: Any) -> dict[str, Any]:
    """The story's policy with the lone replica's threshold; arguments replace whole fields of its spec."""
    policy = a_policy(namespace, **spec)
    policy["spec"]["detection"]["threshold"] = {"value": f"{LONE_THRESHOLD_MIB}Mi"}
    return policy
