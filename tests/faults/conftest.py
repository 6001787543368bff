"""A leaking Deployment on a real API server that is reached through a proxy which breaks things."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from controller.decision.situation import Powers
from controller.metrics.series import ContainerKey
from controller.platforms.kubernetes.api import KubernetesApi
from controller.platforms.kubernetes.events import KubernetesEvents
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.platforms.kubernetes.remediator import KubernetesRemediator
from controller.policy.memory_policy import (
    DetectionRules,
    MemoryPolicy,
    RemediationRules,
    VerificationRules,
)
from controller.ports import PlatformUnavailable
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.cluster.client import CommandError
from tests.cluster.cluster import Cluster
from tests.demo.stage import load_story_image
from tests.fakes import MIB, FakeMemory, FakeWorld, a_policy
from tests.faults.controller_process import release
from tests.faults.kubelet import Kubelet, a_node, tls_of
from tests.faults.memory import Memory, written_prometheus
from tests.faults.proxy import FaultyServer, faulty_server
from tests.faults.scenes import VALUES, Theatre
from tests.sweep.test_flow import a_book

CRDS = Path(__file__).parents[2] / "crds"


@dataclass
class RealClock:
    """The clock the metrics stand-in draws by: the same as the API server's."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Stage:
    """One leaking Deployment, its controller, and what stands between them."""

    cluster: Cluster
    namespace: str
    server: FaultyServer
    memory: FakeMemory
    sweeper: Sweeper
    policy: MemoryPolicy
    ahead: timedelta = timedelta()
    """How far the controller's clock has been put forward, to pass a pause it makes."""
    failures: list[str] = field(default_factory=list)

    async def sweep(self, times: int = 1) -> None:
        """Sweeps as the schedule does: an unreachable platform ends the sweep and nothing else."""
        for _ in range(times):
            self._learn_new_pods()
            try:
                await self.sweeper.sweep(a_book(self.policy), RealClock().now + self.ahead)
            except PlatformUnavailable as unavailable:
                self.failures.append(str(unavailable))

    @property
    def restarts(self) -> int:
        """How often the template was really changed since it was created."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/api"
        generation: int = self.cluster.get(path)["metadata"]["generation"]
        return generation - 1

    @property
    def incidents(self) -> list[dict[str, Any]]:
        path = f"/apis/bilgepump.dev/v1alpha1/namespaces/{self.namespace}/memoryincidents"
        return list(self.cluster.get(path)["items"])

    async def sweep_until_rolled_out(self) -> None:
        """Until what was ordered is done, with a bound; the pods of the restart become ready meanwhile."""
        for _ in range(60):
            await self.sweep()
            if any(one.get("status", {}).get("rolledOutAt") for one in self.incidents):
                return
        pytest.fail(f"the restart never ended: {json.dumps([one.get('status') for one in self.incidents])}")

    def _learn_new_pods(self) -> None:
        for pod in self.cluster.pods(self.namespace):
            key = ContainerKey(self.namespace, pod["metadata"]["name"], "app")
            created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            self.memory.levels.setdefault(key, (created, [60 * MIB, 61 * MIB]))


def with_definitions(cluster: Cluster) -> Cluster:
    """The same, with our definitions."""
    if cluster.get("/apis/bilgepump.dev/v1alpha1") is None:
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    for plural in ("memorypolicies", "memoryincidents"):
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.bilgepump.dev", "--timeout=30s")
        # For a second its storage is not ready yet, and says 429.
        cluster.wait_until(f"{plural} are served", lambda plural=plural: _is_served(cluster, plural))
    return cluster


def _is_served(cluster: Cluster, plural: str) -> bool:
    try:
        return cluster.get(f"/apis/bilgepump.dev/v1alpha1/{plural}") is not None
    except CommandError:
        return False


@pytest.fixture(scope="module")
def definitions(apiserver: Cluster) -> Cluster:
    """The API server with our definitions."""
    return with_definitions(apiserver)


@contextmanager
def a_theatre(cluster: Cluster, folder: Path, **more: Any) -> Iterator[Theatre]:
    """Prometheus, and the chart's rights and settings for controllers that look at it through a proxy."""
    with (
        written_prometheus(folder) as url,
        Memory(cluster, url) as memory,
        faulty_server(url) as metrics,
        release(cluster, f"prometheus.url={metrics.url}", *VALUES),
    ):
        yield Theatre(cluster=cluster, memory=memory, folder=folder, metrics=metrics, **more)


@pytest.fixture(scope="module")
def theatre(definitions: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Scenes without a node: pods become ready by a word."""
    folder = tmp_path_factory.mktemp("theatre")
    with a_node(definitions), a_theatre(definitions, folder, has_kubelet=False) as theatre:
        yield theatre


@pytest.fixture(scope="module")
def real_theatre(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Scenes on the whole real cluster, with real pods that offer real profiles."""
    load_story_image(cluster)
    folder = tmp_path_factory.mktemp("theatre")
    with a_theatre(with_definitions(cluster), folder, has_kubelet=True, pprof_port=6060) as theatre:
        yield theatre


_numbers = itertools.count(1)


@pytest.fixture
def stage(definitions: Cluster) -> Iterator[Stage]:
    """A Deployment whose replicas have climbed to just short of the threshold, and a controller for it."""
    cluster, namespace = definitions, f"faulty-{next(_numbers)}"
    cluster.create_namespace(namespace)
    with Kubelet(cluster, namespace), faulty_server(cluster.layout.server, tls_of(cluster)) as server:
        cluster.apply(a_deployment(namespace))
        cluster.wait_for_rollout("deployment", "api", namespace, timeout_seconds=60)
        yield a_stage(cluster, namespace, server)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def a_stage(cluster: Cluster, namespace: str, server: FaultyServer) -> Stage:
    memory = FakeMemory(RealClock())  # type: ignore[arg-type]
    for pod in cluster.pods(namespace):
        key = ContainerKey(namespace, pod["metadata"]["name"], "app")
        memory.levels[key] = (RealClock().now - timedelta(hours=20), [60 * MIB, 352 * MIB])
    api = api_through(server)
    ports, inventory = FakeWorld().ports, KubernetesInventory(api)
    world = replace(
        ports,
        memory_sources={"default": memory},
        inventory=inventory,
        remediator=KubernetesRemediator(api, inventory, ports.leadership.confirm, namespaces=(namespace,)),
        records=KubernetesRecords(api, namespaces=(namespace,)),
        announcer=KubernetesEvents(api, instance="faults"),
    )
    policy = a_policy(
        namespace=namespace,
        detection=DetectionRules(minimum_age=timedelta()),
        remediation=RemediationRules(lead_time=timedelta(minutes=90)),
        verification=VerificationRules(progress_deadline=timedelta(minutes=2), soak=timedelta()),
    )
    sweeper = Sweeper(world, lambda: SweepLimits(powers=Powers()), Retention())
    return Stage(
        cluster=cluster, namespace=namespace, server=server, memory=memory, sweeper=sweeper, policy=policy
    )


def api_through(server: FaultyServer) -> KubernetesApi:
    configuration = Configuration()
    configuration.host = server.url
    configuration.retries = False
    return KubernetesApi(ApiClient(configuration), timeout_seconds=2.0)


def a_deployment(namespace: str) -> dict[str, Any]:
    resources = {"limits": {"memory": "512Mi"}}
    container = {"name": "app", "image": "registry.example/api:1", "resources": resources}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace, "labels": {"app": "api"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
