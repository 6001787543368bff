"""
Something leaks on a real API server, and the real controller, a process of its own, sees to it.

Between the controller and the API server stands the proxy, which can break a request, hold it back, or kill
or stop the controller while one passes: at every write, without a line in the controller for it. Memory is
real Prometheus' account of numbers that the test writes, so that nobody waits for a leak.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import Answer, wait_until
from tests.demo.stage import a_policy
from tests.faults.controller_process import NOTHING, ControllerProcess, start_controller
from tests.faults.kubelet import ADDRESS, Kubelet, tls_of
from tests.faults.memory import LIMIT_BYTES, MIB, Memory, Pod
from tests.faults.proxy import Asked, FaultyServer, faulty_server
from tests.workloads.story import IMAGE

END_SECONDS = 300.0
OURS = "/apis/bilgepump.dev/v1alpha1"
VALUES = (
    "remediate.enabled=true",
    "allowShortLookback=true",
    "sweepInterval=1s",
    "lease.durationSeconds=8",
    "prometheus.sampleInterval=5s",
    "limits.concurrentRemediations=20",
    "limits.concurrentRemediationsPerNamespace=20",
    "limits.concurrentRemediationsPerNode=20",
    "limits.remediationsPerHour=1000",
    "limits.storm.workloads=1000",
)
"""Of the chart: many leak at once here, and none waits for another."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One mechanism, and which of the controller's requests are its acts."""

    mechanism: str
    kind: str
    replicas: int
    leaking: int
    is_act: Callable[[Asked], bool]
    acts: int


def _restarts(asked: Asked) -> bool:
    return asked.verb == "PATCH" and "/deployments/api?" in asked.path


def _touches_a_pod(asked: Asked) -> bool:
    return asked.verb in ("PATCH", "DELETE", "POST") and "/pods/" in asked.path


SCENES = (
    Scene(mechanism="RollingRestart", kind="Deployment", replicas=2, leaking=2, is_act=_restarts, acts=1),
    Scene(mechanism="Replace", kind="Deployment", replicas=3, leaking=1, is_act=_touches_a_pod, acts=2),
    Scene(mechanism="Evict", kind="StatefulSet", replicas=2, leaking=2, is_act=_touches_a_pod, acts=2),
)
ROLLING_RESTART, REPLACE, EVICT = SCENES


def is_write(asked: Asked) -> bool:
    """A side effect: whatever changes something, except the Lease, which is renewed as time passes."""
    return asked.verb != "GET" and "dryRun" not in asked.path and "/leases" not in asked.path


@dataclass
class Theatre:
    """Where scenes are played: a cluster with the chart installed, and the metrics."""

    cluster: Cluster
    memory: Memory
    folder: Path
    metrics: FaultyServer
    """In front of Prometheus."""
    has_kubelet: bool
    pprof_port: int | None = None
    """Where every pod has its profiles; None where none has any."""
    address: str = ADDRESS
    """Of every pod, where no kubelet gives them their own."""

    @contextmanager
    def play(self, scene: Scene, **spec: Any) -> Iterator[Play]:
        """The workload of a scene, leaking, with its policy; all of it is gone at the end of the block."""
        namespace, began_at = f"scene-{next(_numbers)}", datetime.now(UTC)
        cluster = self.cluster
        cluster.create_namespace(namespace)
        with ExitStack() as stack:
            stack.callback(cluster.kubectl, "delete", "namespace", namespace, "--wait=false")
            stack.callback(self.memory.forget, namespace)
            kubelet = nullcontext() if self.has_kubelet else Kubelet(cluster, namespace, self.address)
            stack.enter_context(kubelet)
            cluster.apply(*self._objects(scene, namespace))
            cluster.wait_for_rollout(scene.kind, "api", namespace)
            leaking = sorted(pod["metadata"]["name"] for pod in cluster.pods(namespace))[: scene.leaking]
            self.memory.leak(namespace, lambda pod: pod["metadata"]["name"] in leaking)
            play = Play(
                theatre=self,
                scene=scene,
                namespace=namespace,
                before=cluster.pods(namespace),
                began_at=began_at,
            )
            stack.callback(cluster.kubectl, "delete", "memorypolicies", "--all", "-n", namespace)
            cluster.apply(self.policy(namespace, **spec))
            yield play

    def _objects(self, scene: Scene, namespace: str) -> list[dict[str, Any]]:
        """
        The workload, and on a real node its budget.

        Without a node a pod is gone at once, and a StatefulSet's next one has its name: budgets take it for
        the evicted one, which has not gone yet, and allows nothing for two minutes.
        """
        workload = _workload(scene, namespace)
        if scene.kind == "StatefulSet" and not self.has_kubelet:
            return [workload]
        budget = {"maxUnavailable": 1, "selector": workload["spec"]["selector"]}
        metadata = workload["metadata"]
        kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        return [{**kind, "metadata": metadata, "spec": budget}, workload]

    def policy(self, namespace: str, **spec: Any) -> dict[str, Any]:
        """Acts on any leak at once and believes in it a moment after the rollout."""
        pprof = [{"container": "app", "port": self.pprof_port}] if self.pprof_port else []
        return a_policy(
            namespace,
            **{
                "detection": {"threshold": {"percent": 70}, "lookback": "15m", "minimumAge": "0s"},
                "evidence": {"pprof": pprof},
                "remediation": {"leadTime": "30m", "cooldown": "6h"},
                "verification": {
                    "progressDeadline": "2m",
                    "soak": "1s",
                    "maximumMemoryRatioPercent": 200,
                },
                **spec,
            },
        )

    @contextmanager
    def controllers(
        self, number: int = 1, environment: Mapping[str, str] = NOTHING, **settings: Any
    ) -> Iterator[list[Candidate]]:
        """So many controllers, each behind a proxy of its own, until the end of the block."""
        with ExitStack() as stack:
            candidates = []
            for index in range(number):
                server = stack.enter_context(
                    faulty_server(self.cluster.layout.server, tls_of(self.cluster, as_administrator=False))
                )
                folder = self.folder / f"controller-{next(_numbers)}"
                candidates.append(Candidate(self.cluster, folder, server, settings, environment))
                stack.callback(candidates[index].stop)
            yield candidates


@dataclass
class Candidate:
    """One controller that may be started, killed, stopped and started anew."""

    cluster: Cluster
    folder: Path
    server: FaultyServer
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    process: ControllerProcess | None = None

    @property
    def running(self) -> ControllerProcess:
        """The process. There must be one."""
        assert self.process is not None
        return self.process

    @property
    def sweeps(self) -> int:
        """How many sweeps it has begun so far: each lists the incidents first."""
        return sum(one.verb == "GET" and "/memoryincidents?" in one.path for one in self.server.asked)

    @property
    def looks_at_the_lease(self) -> int:
        """How often it has looked at the Lease so far: it does so to claim, to renew, and before each act."""
        return sum(one.verb == "GET" and "/leases/" in one.path for one in self.server.asked)

    def start(self) -> ControllerProcess:
        """Starts it, on the disk it had before."""
        self.process = start_controller(
            self.cluster,
            self.folder,
            server=self.server.url,
            settings=self.settings,
            environment=self.environment,
        )
        return self.process

    def stop(self) -> None:
        """Ends it, where it runs."""
        if self.process is not None:
            self.process.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One workload that leaks."""

    theatre: Theatre
    scene: Scene
    namespace: str
    before: list[Pod]
    """The pods that it had at first."""
    began_at: datetime

    @property
    def pods(self) -> list[Pod]:
        """Its pods now."""
        return self.theatre.cluster.pods(self.namespace, "app=api")

    @property
    def workload(self) -> dict[str, Any]:
        """The object itself."""
        plural = {"Deployment": "deployments", "StatefulSet": "statefulsets"}[self.scene.kind]
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{plural}/api"
        found: dict[str, Any] = self.theatre.cluster.get(path)
        return found

    @property
    def incidents(self) -> list[dict[str, Any]]:
        """All of its namespace, without those that have no status yet."""
        found = self.theatre.cluster.get(f"{OURS}/namespaces/{self.namespace}/memoryincidents")["items"]
        return [one for one in found if "status" in one]

    @property
    def policy(self) -> dict[str, Any]:
        """Its policy."""
        path = f"{OURS}/namespaces/{self.namespace}/memorypolicies/api"
        found: dict[str, Any] = self.theatre.cluster.get(path)
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition of its policy; empty while there is none."""
        conditions = self.policy.get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})

    def until(
        self, description: str, condition: Callable[[], Answer | None], seconds: float = END_SECONDS
    ) -> Answer:
        """Waits for a condition."""
        return wait_until(f"{self.namespace}: {description}", condition, timeout_seconds=seconds)

    def until_closed(self) -> dict[str, Any]:
        """Waits until its incident has ended, and returns that."""
        return self.until("the incident is closed", self.closed)

    def closed(self) -> dict[str, Any] | None:
        """Its incident, once that has ended."""
        return next((one for one in self.incidents if one["status"].get("closedAt")), None)

    def acted_once(self) -> None:
        """Asserts that the mechanism has done its work once, rightly, and has left nothing behind."""
        (incident,) = self.incidents
        status = incident["status"]
        assert (status["phase"], status["because"]) == ("Resolved", "Recovered"), status
        assert status["order"]["mechanism"] == self.scene.mechanism
        self.until("as many pods as wanted are left", lambda: len(self.pods) == self.scene.replicas)
        assert not [one for one in self.pods if "deletionTimestamp" in one["metadata"]]
        marked = self.theatre.cluster.pods(self.namespace, "bilgepump.dev/incident")
        assert marked == [], "half-labelled"
        assert all(one["metadata"].get("ownerReferences") for one in self.pods), "orphaned"
        gone = len(_uids(self.before) - _uids(self.pods))
        assert gone == self.scene.leaking
        assert self.workload["metadata"]["generation"] == (2 if self.scene is ROLLING_RESTART else 1)
        if self.scene.kind == "Deployment":
            path = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"
            sets = self.theatre.cluster.get(path)["items"]
            assert len(sets) == (2 if self.scene is ROLLING_RESTART else 1)

    def pods_ever(self) -> int:
        """How many pods were made in its namespace, from the API server's own log."""
        events = self.theatre.cluster.audit_events(verbs=("create",), since=self.began_at)
        return sum(
            (one.namespace, one.resource, one.subresource) == (self.namespace, "pods", "") for one in events
        )


def _uids(pods: list[Pod]) -> set[str]:
    return {one["metadata"]["uid"] for one in pods}


def _workload(scene: Scene, namespace: str) -> dict[str, Any]:
    metadata = {"name": "api", "namespace": namespace, "labels": {"app": "api"}}
    container = {
        "name": "app",
        "image": IMAGE,
        "command": ["/story", "api"],
        "env": [{"name": "LEAKS", "value": "false"}, {"name": "DRAIN_DELAY", "value": "1s"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "5m", "memory": "16Mi"},
            "limits": {"memory": f"{LIMIT_BYTES // MIB}Mi"},
        },
    }
    spec: dict[str, Any] = {
        "replicas": scene.replicas,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [container]}},
    }
    if scene.kind == "StatefulSet":
        spec |= {"serviceName": "api", "podManagementPolicy": "Parallel"}
    return {"apiVersion": "apps/v1", "kind": scene.kind, "metadata": metadata, "spec": spec}
