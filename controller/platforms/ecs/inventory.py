"""ECS services with their tasks, as workloads."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.inventory.workload import Replica, Workload, WorkloadRef
from controller.platforms.ecs.api import Document, EcsApi
from controller.platforms.ecs.hosts import Hosts
from controller.platforms.ecs.reading import replica, service_ref, workload
from controller.platforms.ecs.registry import EcrTags
from controller.policy.memory_policy import EcsTarget, MemoryPolicy
from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)

LIST_BY_SERVICE_UP_TO = 20
"""With more services than this it costs fewer calls to list all tasks of their cluster."""

REMEMBERED_SWEEPS = 10
"""So long a definition is kept that no task refers to: its cluster may only be unread for a while."""


@dataclass(frozen=True, slots=True)
class _Definition:
    document: Document
    sweep: int
    """The last in which a task referred to it."""


@dataclass(frozen=True, slots=True)
class _Services:
    """Services of one cluster with their tasks, as one look found them."""

    documents: Mapping[str, Document]
    replicas: Mapping[str, tuple[Replica, ...]]
    throttled: bool
    refusals: Mapping[str, str]
    """By service: why we may not act on it."""


class EcsInventory:
    """What runs in the clusters that policies name."""

    def __init__(
        self,
        api: Callable[[EcsTarget], EcsApi],
        policies: Callable[[], Sequence[MemoryPolicy]],
        tags: Callable[[EcsTarget], EcrTags],
        hosts: Callable[[EcsTarget], Hosts],
        *,
        may_not_act: Callable[[str, EcsTarget], str] = lambda namespace, target: "",  # noqa: ARG005
        may_be_loopback: bool = False,
    ) -> None:
        """
        `api`, `tags` and `hosts` answer for a target's account and region.

        `may_not_act` says why the policies of a namespace may not act as a target's role, if so.
        """
        self._api = api
        self._tags = tags
        self._hosts = hosts
        self._policies = policies
        self._may_not_act = may_not_act
        self._may_be_loopback = may_be_loopback
        self._definitions: dict[str, _Definition] = {}
        self._sweep = 0
        self._ways: dict[tuple[str, str, str], EcsTarget] = {}
        self.seen: tuple[Workload, ...] = ()
        """The workloads of the last sweep."""
        self.unread: Mapping[str, str] = {}
        """By policy: why its services could not be read in the last sweep."""

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        """
        Every service that a policy of these namespaces names or selects.

        What cannot be read is told in `unread`, and the rest goes on. Raises PlatformUnavailable where
        nothing at all could be read.
        """
        self._sweep += 1
        self._forget_definitions()
        found: dict[WorkloadRef, Workload] = {}
        unread: dict[str, str] = {}
        read = False
        for policies in self._by_cluster(namespaces):
            try:
                found.update((one.ref, one) for one in await self._of_cluster(policies))
                read = True
            except PlatformUnavailable as error:
                logger.warning("cluster not read", extra={"cluster": _cluster(policies), "why": str(error)})
                unread.update((policy.key, str(error)) for policy in policies)
        self.seen, self.unread = tuple(found.values()), unread
        if unread and not read:
            raise PlatformUnavailable(next(iter(unread.values())))
        return self.seen

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        """
        A fresh look at one service; None where it is gone, or nothing says as whom to look.

        Raises PlatformUnavailable.
        """
        target = self.target(ref)
        if target is None:
            return None
        name = ref.name.rpartition("/")[2]
        services = await self._look(target, [name])
        return self._workload(ref, target, services) if name in services.documents else None

    def target(self, ref: WorkloadRef) -> EcsTarget | None:
        """How the policies of its namespace reach a service, or reached it until one was deleted."""
        for policy in self._policies():
            if policy.target.ecs is not None:
                self._ways[_way(policy.namespace, policy.target.ecs)] = policy.target.ecs
        region, cluster, _ = ref.name.split("/")
        return self._ways.get((ref.namespace, region, cluster))

    def _by_cluster(self, namespaces: frozenset[str]) -> Iterable[Sequence[MemoryPolicy]]:
        """The policies that look at the same cluster as the same role, together."""
        groups: dict[tuple[str, ...], list[MemoryPolicy]] = defaultdict(list)
        for policy in self._policies():
            ecs = policy.target.ecs
            if ecs is not None and policy.namespace in namespaces:
                groups[ecs.region, ecs.cluster, ecs.assume_role_arn, ecs.external_id].append(policy)
        return groups.values()

    async def _of_cluster(self, policies: Sequence[MemoryPolicy]) -> list[Workload]:
        targets = [policy.target.ecs for policy in policies if policy.target.ecs is not None]
        named = sorted({name for target in targets for name in target.services})
        by_tags = [target.tags for target in targets if target.tags]
        if by_tags:
            named = await self._api(targets[0]).service_names(targets[0].cluster)
        services = await self._look(
            targets[0], named, by_tags, {name for one in targets for name in one.services}
        )
        return [
            self._workload(
                service_ref(policy.namespace, target.region, target.cluster, name), target, services
            )
            for policy, target in zip(policies, targets, strict=True)
            for name, document in services.documents.items()
            if _claims(target, document)
        ]

    async def _look(
        self,
        target: EcsTarget,
        names: Sequence[str],
        tags: Sequence[tuple[tuple[str, str], ...]] = (),
        named: Iterable[str] = (),
    ) -> _Services:
        """Services by name with their tasks; where `tags` are given, only those, and those `named`."""
        api, cluster = self._api(target), target.cluster
        documents = _active(await api.services(cluster, names))
        if tags:
            documents = [
                one
                for one in documents
                if one["serviceName"] in named or any(set(wanted) <= _tag_set(one) for wanted in tags)
            ]
        tasks = await self._tasks(api, cluster, documents)
        every = [task for some in tasks.values() for task in some]
        protected = await api.protections(
            cluster, [one["taskArn"] for one in every if one["desiredStatus"] == "RUNNING"]
        )
        digests = await self._digests(target, every)
        hosts = await self._hosts(target).addresses(cluster, every)
        replicas: dict[str, tuple[Replica, ...]] = {}
        for service in documents:
            read = [
                replica(
                    task,
                    await self._definition(api, task["taskDefinitionArn"]),
                    service,
                    tags=digests,
                    protected_until=protected.get(task["taskArn"]),
                    host_address=hosts.get(task.get("containerInstanceArn", "")),
                    may_be_loopback=self._may_be_loopback,
                )
                for task in tasks.get(service["serviceName"], ())
                if task["lastStatus"] != "STOPPED"
            ]
            replicas[service["serviceName"]] = tuple(read)
        return _Services(
            documents={one["serviceName"]: one for one in documents},
            replicas=replicas,
            throttled=api.throttled,
            refusals={name: api.forbidden(cluster, name) for name in replicas},
        )

    def _workload(self, ref: WorkloadRef, target: EcsTarget, services: _Services) -> Workload:
        name = ref.name.rpartition("/")[2]
        return workload(
            ref,
            services.documents[name],
            services.replicas[name],
            throttled=services.throttled,
            access_refusal=self._may_not_act(ref.namespace, target) or services.refusals[name],
        )

    async def _tasks(
        self, api: EcsApi, cluster: str, services: Sequence[Document]
    ) -> Mapping[str, list[Document]]:
        """Tasks by the name of their service."""
        if len(services) <= LIST_BY_SERVICE_UP_TO:
            return {one["serviceName"]: await api.tasks(cluster, one["serviceName"]) for one in services}
        by_service: dict[str, list[Document]] = defaultdict(list)
        for task in await api.tasks(cluster):
            kind, _, name = task.get("group", "").partition(":")
            if kind == "service":
                by_service[name].append(task)
        return by_service

    async def _digests(self, target: EcsTarget, tasks: Iterable[Document]) -> Mapping[str, str | None]:
        """What the tags of all images name now; pinned ones need no asking."""
        images = {str(one.get("image", "")) for task in tasks for one in task.get("containers", ())}
        tags = self._tags(target)
        return {image: await tags.digest(image) for image in sorted(images) if "@" not in image}

    async def _definition(self, api: EcsApi, arn: str) -> Document:
        """A revision never changes, so it is asked for once."""
        known = self._definitions.get(arn)
        document = known.document if known is not None else await api.task_definition(arn)
        self._definitions[arn] = _Definition(document, self._sweep)
        return document

    def _forget_definitions(self) -> None:
        oldest = self._sweep - REMEMBERED_SWEEPS
        self._definitions = {arn: one for arn, one in self._definitions.items() if one.sweep >= oldest}


def _way(namespace: str, target: EcsTarget) -> tuple[str, str, str]:
    return namespace, target.region, target.cluster


def _cluster(policies: Sequence[MemoryPolicy]) -> str:
    target = policies[0].target.ecs
    return f"{target.region}/{target.cluster}" if target is not None else ""


def _claims(target: EcsTarget, service: Document) -> bool:
    if target.tags:
        return set(target.tags) <= _tag_set(service)
    return service["serviceName"] in target.services


def _active(services: Sequence[Document]) -> list[Document]:
    return [one for one in services if one.get("status") == "ACTIVE"]


def _tag_set(service: Document) -> set[tuple[str, str]]:
    return {(one["key"], one.get("value", "")) for one in service.get("tags", ())}
