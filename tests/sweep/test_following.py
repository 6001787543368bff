"""What is asked of the API server every two seconds while a replica is being replaced."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from controller.operator.policies import WatchedPolicies
from controller.platforms.kubernetes.api import Document
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.platforms.kubernetes.remediator import KubernetesRemediator
from controller.policy.book import PolicyBook
from controller.reporting.incident import Incident
from controller.reporting.incident_document import to_document
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import FakeWorld
from tests.platforms.kubernetes.served import ServedApi, metadata_of
from tests.sweep.worlds import MINUTE, QUICK, a_world

OURS = "/apis/bilgepump.dev/v1alpha1"
SHOP = "/api/v1/namespaces/shop"
APPS = "/apis/apps/v1/namespaces/shop"


class KeepingApi(ServedApi):
    """Keeps what is written into the status of the incident, and ends a pod that is deleted."""

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Document:
        whole = path.removesuffix("/status")
        if method == "PATCH" and whole != path and whole in self.objects:
            _merge(self.objects[whole]["status"], (body or {})["status"])
            self.objects[path] = deepcopy(self.objects[whole])
        if method == "DELETE":
            pods = self.lists[f"{SHOP}/pods"]
            pods[:] = [pod for pod in pods if pod["metadata"]["name"] != path.rpartition("/")[2]]
        return await super()._call(method, path, query, body, content_type)


def _merge(standing: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """A JSON merge patch (RFC 7386)."""
    for key, value in patch.items():
        if isinstance(value, Mapping):
            _merge(standing.setdefault(key, {}), value)
        elif value is None:
            standing.pop(key, None)
        else:
            standing[key] = value


def a_pod(name: str, *, ready: bool = True, owned: bool = True) -> Document:
    labels = {"app": "api", **({"pod-template-hash": "r1"} if owned else {})}
    owners = [{"uid": "uid-rs", "controller": True}] if owned else []
    return {
        "metadata": metadata_of(name, labels=labels, ownerReferences=owners),
        "spec": {"containers": [{"name": "app", "image": "registry.example/api:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def a_cluster(incident: Incident) -> KeepingApi:
    """`api-0` of five is released and still serves; its replacement has not become ready."""
    assert incident.status.order
    released = a_pod("api-0", owned=False)
    released["metadata"]["labels"]["bilgepump.dev/incident"] = incident.status.order.id
    released["metadata"]["annotations"] = {"bilgepump.dev/released-from": "Deployment/api/workload-uid/r1"}
    deployment = {
        "metadata": metadata_of("api", uid="workload-uid", generation=3, labels={"app": "api"}),
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "api"}}},
        "status": {
            "observedGeneration": 3,
            "replicas": 5,
            "updatedReplicas": 5,
            "readyReplicas": 4,
            "availableReplicas": 4,
        },
    }
    owner = [{"uid": "workload-uid", "controller": True}]
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": metadata_of("api", generation=1),
        "spec": {"mode": "Remediate", "target": {"selector": {"matchLabels": {"app": "api"}}}},
    }
    stored = to_document(incident)
    stored["metadata"]["resourceVersion"] = "7"
    api = KeepingApi(
        {
            f"{SHOP}/pods": [
                released,
                a_pod("api-0-new", ready=False),
                *(a_pod(f"api-{number}") for number in range(1, 5)),
            ],
            f"{APPS}/replicasets": [{"metadata": metadata_of("rs", ownerReferences=owner)}],
            f"{APPS}/deployments": [deployment],
            f"{OURS}/memoryincidents": [stored],
            f"{OURS}/memorypolicies": [policy],
        }
    )
    api.objects[f"{APPS}/deployments/api"] = deployment
    api.objects[f"{OURS}/namespaces/shop/memoryincidents/{incident.name}"] = stored
    return api


class Stage:
    """A controller over the API server, whose last sweep found a replica half replaced."""

    def __init__(self, world: FakeWorld, api: KeepingApi) -> None:
        self.world = world
        self.api = api
        self.policies = WatchedPolicies(api, namespaces=(), allow_short_lookback=True)
        inventory = KubernetesInventory(api)
        ports = replace(
            world.ports,
            inventory=inventory,
            remediator=KubernetesRemediator(api, inventory, world.leadership.confirm),
            records=KubernetesRecords(api),
        )
        self.sweeper = Sweeper(ports, SweepLimits, Retention())

    @property
    def message(self) -> str:
        """What the incident says."""
        return str(self.api.lists[f"{OURS}/memoryincidents"][0]["status"]["message"])

    async def look(self) -> list[tuple[str, str]]:
        """What one look between two sweeps asks."""
        self.api.asked.clear()
        await self.sweeper.follow(self.policies, self.world.clock.pass_time(MINUTE / 30))
        return list(self.api.asked)


@pytest.fixture
async def stage() -> Stage:
    world = a_world(leaking=2, of=5)
    world.remediator.replicas_start_in = None
    sweeper = Sweeper(world.ports, SweepLimits, Retention())
    while not world.acts:
        await sweeper.sweep(PolicyBook(accepted=(QUICK,)), world.clock.pass_time(MINUTE))
    stage = Stage(world, a_cluster(world.records.only))
    await stage.sweeper.sweep(stage.policies, world.clock.pass_time(MINUTE))
    assert stage.sweeper.following
    return stage


async def test_look_that_finds_nothing_to_do_reads_nothing_but_the_workload(stage: Stage) -> None:
    asked = await stage.look()

    assert stage.sweeper.following
    assert {method for method, _ in asked} == {"GET"}
    assert not [path for _, path in asked if path.startswith(OURS)]
    assert len(asked) == len(set(asked)) == 9


async def test_look_that_finds_other_news_writes_them_and_reads_the_workload_once(stage: Stage) -> None:
    stage.api.lists[f"{SHOP}/pods"][2]["status"]["conditions"][0]["status"] = "False"

    asked = await stage.look()

    assert asked.count(("GET", f"{APPS}/deployments/api")) == 1
    assert [method for method, _ in asked if method != "GET"] == ["PATCH"]
    assert "3 of 5 replicas are ready without it" in stage.message


async def test_replica_ends_at_the_look_that_finds_its_replacement_ready(stage: Stage) -> None:
    pods = stage.api.lists[f"{SHOP}/pods"]
    pods[1]["status"]["conditions"][0]["status"] = "True"
    stage.api.objects[f"{APPS}/deployments/api"]["status"] |= {"readyReplicas": 5, "availableReplicas": 5}

    asked = await stage.look()

    assert [path for method, path in asked if method == "DELETE"] == [f"{SHOP}/pods/api-0"]
    # The policy and the incident are read again just before.
    before = [path for _, path in asked[: asked.index(("DELETE", f"{SHOP}/pods/api-0"))]]
    assert {f"{OURS}/memorypolicies", f"{OURS}/memoryincidents"} <= set(before)
