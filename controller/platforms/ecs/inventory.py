"""ECS services with their tasks, as workloads."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.inventory.workload import Workload, WorkloadRef
from controller.platforms.ecs.api import Document, EcsApi
from controller.platforms.ecs.reading import replica, service_ref, workload
from controller.platforms.ecs.registry import EcrTags
from controller.policy.memory_policy import EcsTarget, MemoryPolicy

LIST_BY_SERVICE_UP_TO = 20
"""With more services than this it costs fewer calls to list all tasks of their cluster."""


class EcsInventory:
    """What runs in the clusters that policies name."""

    def __init__(
        self,
        api: Callable[[EcsTarget], EcsApi],
        policies: Callable[[], Sequence[MemoryPolicy]],
        tags: Callable[[EcsTarget], EcrTags],
        *,
        may_be_loopback: bool = False,
    ) -> None:
        """`api` and `tags` answer for a target's account and region."""
        self._api = api
        self._tags = tags
        self._policies = policies
        self._may_be_loopback = may_be_loopback
        self._definitions: dict[str, Document] = {}
        self.seen: tuple[Workload, ...] = ()
        """The workloads of the last sweep."""

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        """Every service that a policy of these namespaces names or selects. Raises PlatformUnavailable."""
        found: dict[WorkloadRef, Workload] = {}
        for policy in self._policies():
            target = policy.target.ecs
            if target is None or policy.namespace not in namespaces:
                continue
            found.update((one.ref, one) for one in await self._of_target(policy.namespace, target))
        self.seen = tuple(found.values())
        return self.seen

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        """A fresh look at one service; None where it is gone, or no policy says as whom to look."""
        region, cluster, name = ref.name.split("/")
        target = self.target(region, cluster)
        if target is None:
            return None
        services = _active(await self._api(target).services(cluster, [name]))
        return next(iter(await self._read(ref.namespace, target, services)), None)

    def target(self, region: str, cluster: str) -> EcsTarget | None:
        """How the policies reach a cluster."""
        targets = [policy.target.ecs for policy in self._policies() if policy.target.ecs is not None]
        return next((one for one in targets if (one.region, one.cluster) == (region, cluster)), None)

    async def _of_target(self, namespace: str, target: EcsTarget) -> list[Workload]:
        api = self._api(target)
        names = list(target.services) or await api.service_names(target.cluster)
        services = _active(await api.services(target.cluster, names))
        if target.tags:
            services = [one for one in services if set(target.tags) <= _tag_set(one)]
        return await self._read(namespace, target, services)

    async def _read(self, namespace: str, target: EcsTarget, services: Sequence[Document]) -> list[Workload]:
        api, cluster = self._api(target), target.cluster
        tasks = await self._tasks(api, cluster, services)
        living = [
            one["taskArn"] for some in tasks.values() for one in some if one["desiredStatus"] == "RUNNING"
        ]
        protected = await api.protections(cluster, living)
        digests = await self._digests(target, tasks.values())
        found = []
        for service in services:
            replicas = [
                replica(
                    task,
                    await self._definition(api, task["taskDefinitionArn"]),
                    service,
                    tags=digests,
                    protected_until=protected.get(task["taskArn"]),
                    may_be_loopback=self._may_be_loopback,
                )
                for task in tasks.get(service["serviceName"], ())
                if task["lastStatus"] != "STOPPED"
            ]
            ref = service_ref(namespace, target.region, cluster, service["serviceName"])
            found.append(workload(ref, service, tuple(replicas), throttled=api.throttled))
        return found

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

    async def _digests(
        self, target: EcsTarget, tasks: Iterable[Sequence[Document]]
    ) -> Mapping[str, str | None]:
        """What the tags of all images name now; pinned ones need no asking."""
        images = {
            str(container.get("image", ""))
            for some in tasks
            for task in some
            for container in task.get("containers", ())
        }
        tags = self._tags(target)
        return {image: await tags.digest(image) for image in sorted(images) if "@" not in image}

    async def _definition(self, api: EcsApi, arn: str) -> Document:
        """A revision never changes, so it is asked for once."""
        if arn not in self._definitions:
            self._definitions[arn] = await api.task_definition(arn)
        return self._definitions[arn]


def _active(services: Sequence[Document]) -> list[Document]:
    return [one for one in services if one.get("status") == "ACTIVE"]


def _tag_set(service: Document) -> set[tuple[str, str]]:
    return {(one["key"], one.get("value", "")) for one in service.get("tags", ())}
