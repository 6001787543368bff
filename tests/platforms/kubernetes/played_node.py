"""A workload of three against a real API server and its real controllers; the pods' node is played here."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.reading import INCIDENT
from controller.platforms.kubernetes.remediator import KubernetesRemediator
from controller.remediation.order import Order, order_remediation

CONTAINER = {"name": "app", "image": "registry.example/api:1"}


class Node:
    """A Deployment, StatefulSet or Argo Rollout of three, and what a kubelet would do with its pods."""

    def __init__(self, api: KubernetesApi, namespace: str, kind: str) -> None:
        self.api = api
        self.namespace = namespace
        self.app = kind.lower()
        self.ref = WorkloadRef(Platform.KUBERNETES, namespace, kind, self.app)
        self.inventory = KubernetesInventory(api, with_rollouts=True)
        self.leads = True
        self.remediator = KubernetesRemediator(api, self.inventory, self._confirm, namespaces=[namespace])

    @classmethod
    async def of_three(cls, api: KubernetesApi, namespace: str, kind: str, **budget: int) -> "Node":
        node = cls(api, namespace, kind)
        labels = {"app": node.app}
        spec: dict[str, Any] = {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}},
        }
        if kind == "StatefulSet":
            spec |= {"serviceName": node.app, "podManagementPolicy": "Parallel"}
        if kind == "Rollout":
            spec |= {
                "strategy": {"canary": {"maxUnavailable": 1, "steps": [{"setWeight": 34}, {"pause": {}}]}}
            }
        path = paths.of_kind(kind, namespace)
        version = path.removeprefix("/apis/").partition("/namespaces")[0]
        document = {"apiVersion": version, "kind": kind, "metadata": {"name": node.app}, "spec": spec}
        await api.create(path, document)
        allowed = budget or {"maxUnavailable": 1}
        await api.create(
            paths.in_namespace(paths.POLICY_V1, namespace, "poddisruptionbudgets"),
            {"metadata": {"name": node.app}, "spec": {"selector": {"matchLabels": labels}, **allowed}},
        )
        await node.settle()
        return node

    async def _confirm(self) -> bool:
        return self.leads

    async def pods(self) -> list[dict[str, Any]]:
        return await self.api.items(paths.in_namespace(paths.CORE, self.namespace, "pods"))

    async def marked(self) -> int:
        """How many pods bear our mark."""
        return sum(INCIDENT in pod["metadata"]["labels"] for pod in await self.pods())

    async def settle(self, ready: int = 3) -> None:
        """Makes every pod ready, and waits until all controllers know it."""
        async with asyncio.timeout(60):
            while not await self._settled(ready):  # noqa: ASYNC110  (a server has no event to wait for)
                await asyncio.sleep(0.1)

    async def play(self) -> list[dict[str, Any]]:
        """Makes the pods ready that are there now."""
        pods = await self.pods()
        for pod in pods:
            if not pod["status"].get("conditions"):
                await self._make_ready(pod)
        return pods

    async def _settled(self, ready: int) -> bool:
        pods = await self.play()
        workload = await self.api.get(paths.of_workload(self.ref))
        budgets = paths.in_namespace(paths.POLICY_V1, self.namespace, "poddisruptionbudgets", self.app)
        status, budget = workload.get("status", {}), (await self.api.get(budgets)).get("status", {})
        return (
            len(pods) == ready
            and status.get("availableReplicas") == status.get("replicas") == 3
            and str(status.get("observedGeneration")) == str(workload["metadata"]["generation"])
            and budget.get("currentHealthy") == ready
        )

    async def _make_ready(self, pod: dict[str, Any]) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        path = paths.in_namespace(paths.CORE, self.namespace, "pods", pod["metadata"]["name"])
        status = {"phase": "Running", "conditions": [condition]}
        try:
            await self.api.patch(f"{path}/status", {"status": status})
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise

    async def workload(self) -> Workload:
        found = await self.inventory.workload(self.ref)
        assert found is not None
        return found

    async def order(self, mechanism: Mechanism, *numbers: int) -> Order:
        workload = await self.workload()
        names = sorted(one.name for one in workload.replicas)
        choice = Choice(
            mechanism=mechanism, because="they leak", replicas=tuple(names[number] for number in numbers)
        )
        return order_remediation(
            workload, choice, incident="api-0a1b2c3d4e", memory_before_bytes=1, now=datetime.now(UTC)
        )
