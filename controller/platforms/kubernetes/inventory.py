"""Deployments, StatefulSets, DaemonSets and Argo Rollouts with their pods and budgets, as workloads."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.platforms.kubernetes import paths, rollouts
from controller.platforms.kubernetes.api import Document, KubernetesApi
from controller.platforms.kubernetes.reading import (
    budgets_of,
    overlapping_budgets,
    own_pods,
    owner_of,
    released,
    replica,
    unreadable,
    workload,
)
from controller.platforms.kubernetes.surroundings import (
    NOT_LOOKED_AT,
    Nodes,
    Surroundings,
    list_nodes,
    read_surroundings,
)
from controller.policy.syntax import DNS_NAME
from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)

NAMESPACES_AT_ONCE = 4
"""Read side by side: as many as the connection has threads. One list for all would hold every pod at once."""

CLUSTER_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Namespaces of the cluster itself."""


MALFORMED = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What reading a document raises that is not as its kind's documents are."""


class KubernetesInventory:
    """What runs in the cluster. Lists once per namespace and kind, not per workload."""

    def __init__(
        self,
        api: KubernetesApi,
        *,
        ourselves: WorkloadRef | None = None,
        metrics_namespaces: frozenset[str] = frozenset(),
        everywhere: bool = False,
        with_rollouts: bool = False,
    ) -> None:
        """
        `metrics_namespaces` are those that the URLs of metrics sources name. `everywhere`: our rights are for
        the whole cluster, so that one list serves all namespaces, and nodes may be seen. `with_rollouts`:
        Argo Rollouts are workloads, too, where the cluster knows them.
        """
        self._api = api
        self._ourselves = ourselves
        self._metrics_namespaces = metrics_namespaces
        self._everywhere = everywhere
        self._with_rollouts = with_rollouts
        self._nodes: Nodes | None = None
        self.unread: Mapping[str, str] = {}
        """Always empty: what cannot be read here ends the sweep."""

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        """Every workload of these namespaces. Raises PlatformUnavailable."""
        nodes = self._nodes = await self._list_nodes()
        around = await read_surroundings(self._api, namespaces, everywhere=self._everywhere, nodes=nodes)
        kinds = await self._kinds()
        turn = asyncio.Semaphore(NAMESPACES_AT_ONCE)

        async def in_turn(namespace: str) -> list[Workload]:
            async with turn:
                return await self._of_namespace(namespace, kinds, around[namespace])

        found = await asyncio.gather(*map(in_turn, sorted(namespaces)), return_exceptions=True)
        for part in found:
            if isinstance(part, BaseException):
                raise part
        return tuple(workload for part in found if not isinstance(part, BaseException) for workload in part)

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        """
        A fresh look at one workload and its namespace; None where it is gone. Raises PlatformUnavailable.

        It is asked every few seconds while replicas are replaced, so that nothing of the whole cluster is
        listed for it, and no other workload's pods: nodes are those of the last sweep.
        """
        if ref.kind not in self._readable:
            raise PlatformUnavailable(f"{ref} is of no kind that is read here: {', '.join(self._readable)}")
        document = await self._api.find(paths.of_workload(ref))
        if document is None:
            return None
        if self._nodes is None:
            self._nodes = await self._list_nodes()
        around = await read_surroundings(self._api, [ref.namespace], everywhere=False, nodes=self._nodes)
        read = await self._read(
            ref.namespace, [(ref.kind, document)], around[ref.namespace], **_own_pods(document)
        )
        return next(iter(read), None)

    @property
    def _readable(self) -> tuple[str, ...]:
        return (*paths.BUILT_IN, rollouts.KIND) if self._with_rollouts else paths.BUILT_IN

    async def _kinds(self) -> tuple[str, ...]:
        """The kinds that this cluster has: whether it knows Rollouts is seen by discovery, open to all."""
        if not self._with_rollouts:
            return paths.BUILT_IN
        group = await self._api.find(paths.ARGO) or {}
        known = any(one.get("kind") == rollouts.KIND for one in group.get("resources") or ())
        return self._readable if known else paths.BUILT_IN

    async def _list_nodes(self) -> Nodes:
        return await list_nodes(self._api) if self._everywhere else NOT_LOOKED_AT

    async def _of_namespace(
        self, namespace: str, kinds: Iterable[str], around: Surroundings
    ) -> list[Workload]:
        documents = [
            (kind, document)
            for kind in kinds
            for document in await self._api.items(paths.of_kind(kind, namespace))
        ]
        return await self._read(namespace, documents, around) if documents else []

    async def _read(
        self, namespace: str, documents: Sequence[tuple[str, Document]], around: Surroundings, **pods_of: str
    ) -> list[Workload]:
        """`pods_of` narrows down which pods and ReplicaSets are listed."""
        core, apps = paths.CORE, paths.APPS
        pods = await self._api.items(paths.in_namespace(core, namespace, "pods"), **pods_of)
        sets = await self._api.items(paths.in_namespace(apps, namespace, "replicasets"), **pods_of)
        budgets = await self._api.items(
            paths.in_namespace(paths.POLICY_V1, namespace, "poddisruptionbudgets")
        )
        home = await self._api.find(f"{core}/namespaces/{namespace}")
        beside = _Beside(
            pods=_pods_by_owner(pods, sets),
            replica_sets=sets,
            budgets=budgets,
            annotations=(home["metadata"].get("annotations") or {}) if home else {},
            around=around,
        )
        known = {(kind, str(one["metadata"]["name"])): one for kind, one in documents}
        known |= {("ReplicaSet", str(one["metadata"]["name"])): one for one in sets}
        read = []
        for kind, found in documents:
            ref = WorkloadRef(Platform.KUBERNETES, namespace, kind, found["metadata"]["name"])
            try:
                document, unread = await self._with_template(namespace, found, known)
                read.append(self._workload(ref, document, beside, unread))
            except MALFORMED as error:
                # Argo's definition leaves much unchecked, and one such document must not end the sweep.
                logger.warning("document cannot be read", extra={"workload": str(ref), "why": repr(error)})
                bare = self._workload(ref, {"metadata": found["metadata"]}, beside)
                read.append(unreadable(bare, f"{type(error).__name__}: {error}"))
        return read

    def _workload(
        self, ref: WorkloadRef, document: Document, beside: "_Beside", unread: tuple[str, ...] = ()
    ) -> Workload:
        mine = beside.pods.get(document["metadata"]["uid"], [])
        return workload(
            ref,
            document,
            replicas=tuple(replica(pod) for pod in mine),
            budgets=budgets_of(mine, document, beside.budgets),
            overlapping=overlapping_budgets(mine, document, beside.budgets),
            namespace_annotations=beside.annotations,
            replica_sets=beside.replica_sets,
            around=replace(beside.around, unread=(*beside.around.unread, *unread)),
            protected_because=self._protected_because(ref),
        )

    async def _with_template(
        self, namespace: str, document: Document, known: Mapping[tuple[str, str], Document]
    ) -> tuple[Document, tuple[str, ...]]:
        """
        A Rollout whose pod template is another object's (`workloadRef`) with it; others as they are.

        And the kind that it would have to be read from, where that is none that we may read. Raises
        ValueError where it is named by what cannot be a name: put into a path, that would ask for something
        else.
        """
        spec = document.get("spec") or {}
        reference = rollouts.referenced(spec)
        if reference is None:
            return document, ()
        kind, name = reference
        if kind not in ("Deployment", "ReplicaSet"):
            return document, (f"{kind.lower()}s",)
        found = known.get(reference)
        if found is None and kind == "Deployment":
            if not re.fullmatch(DNS_NAME, name):
                raise ValueError(f"workloadRef.name {name!r} must be the name of a Deployment")
            found = await self._api.find(paths.of_kind(kind, namespace, name))
        template = ((found or {}).get("spec") or {}).get("template")
        return {**document, "spec": {**spec, "template": template}}, ()

    def _protected_because(self, ref: WorkloadRef) -> str:
        if ref.namespace in CLUSTER_NAMESPACES:
            return f"{ref.namespace} belongs to the cluster and is never acted on"
        if ref == self._ourselves:
            return "this is the controller itself"
        if ref.namespace in self._metrics_namespaces:
            return f"the metrics source is in {ref.namespace}, where nothing is acted on"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What a namespace's workloads are read together with."""

    pods: Mapping[str, list[Document]]
    """By the uid of their workload."""
    replica_sets: Sequence[Document]
    budgets: Sequence[Document]
    annotations: Mapping[str, str]
    """Of the namespace."""
    around: Surroundings


def _own_pods(document: Document) -> dict[str, str]:
    """The query for a workload's own pods; for all pods where its selector cannot be read."""
    try:
        return own_pods(document)
    except MALFORMED:
        return {}


def _pods_by_owner(pods: Iterable[Document], sets: Iterable[Document]) -> Mapping[str, list[Document]]:
    """
    Pods by the uid of the workload they belong to: through their ReplicaSet where they have one.

    A pod that we released belongs to its workload until it is gone, although its owner let it go.
    """
    above = {item["metadata"]["uid"]: owner_of(item) for item in sets}
    owned: dict[str, list[Document]] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        marks = released(pod)
        owner = marks.workload_uid if marks else owner_of(pod)
        owned.setdefault(above.get(owner, owner), []).append(pod)
    return owned
