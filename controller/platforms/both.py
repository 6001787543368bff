"""Kubernetes and ECS behind the same ports, so that one sweep governs both."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from controller.evidence.replica_context import ContextPlan, Told
from controller.inventory.coverage import Conflict, Governed, governing
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.platforms.ecs.inventory import EcsInventory
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import Announcer, Inventory, PlatformUnavailable, Remediator, WorldError
from controller.remediation.order import Leftover, Order, Receipt
from controller.reporting.notices import MESSAGE_LENGTH, Notice, Subject

logger = logging.getLogger(__name__)

Policies = Callable[[], Sequence[MemoryPolicy]]


class InventoryOfBoth:
    """A `ports.Inventory`: AWS that does not answer keeps nothing in the cluster waiting."""

    def __init__(self, kubernetes: Inventory, ecs: EcsInventory, policies: Policies) -> None:
        self._kubernetes = kubernetes
        self._ecs = ecs
        self._policies = policies

    @property
    def unread(self) -> Mapping[str, str]:
        """By policy: why its services could not be read."""
        return {**self._kubernetes.unread, **self._ecs.unread}

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        """What runs on both. Raises PlatformUnavailable where the cluster cannot be read."""
        own = {policy.namespace for policy in self._policies() if policy.target.ecs is None}
        found = await self._kubernetes.workloads(namespaces & own)
        try:
            return found + await self._ecs.workloads(namespaces)
        except PlatformUnavailable as error:
            # It stands in `unread`, and each policy is told.
            logger.warning("no ECS service can be read", extra={"why": str(error)})
            return found

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        """A fresh look at one workload. Raises PlatformUnavailable."""
        inventory: Inventory = self._ecs if ref.platform is Platform.ECS else self._kubernetes
        return await inventory.workload(ref)


class RemediatorOfBoth:
    """A `ports.Remediator` that hands each order to its platform's."""

    def __init__(self, kubernetes: Remediator, ecs: Remediator) -> None:
        self._kubernetes = kubernetes
        self._ecs = ecs

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order that was carried out already."""
        return await self._of(order).find(order)

    async def carry_out(self, order: Order) -> Receipt:
        """Does what is ordered, at most once. Raises RemediationRefused, OutcomeUnknown."""
        return await self._of(order).carry_out(order)

    async def tidy(self, unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        """
        Ends what other orders left behind: what one platform ended is told, whatever becomes of the other.

        Raises PlatformUnavailable, RemediationRefused, each only where nothing was ended.
        """
        ended: list[Leftover] = []
        failures: list[WorldError] = []
        for remediator in (self._kubernetes, self._ecs):
            try:
                ended += await remediator.tidy(unfinished)
            except WorldError as error:
                failures.append(error)
        if failures and not ended:
            raise failures[0]
        for failure in failures:
            logger.warning("not all leftovers ended", extra={"why": str(failure)})
        return tuple(ended)

    def _of(self, order: Order) -> Remediator:
        return self._ecs if order.workload.platform is Platform.ECS else self._kubernetes


class ContextSource(Protocol):
    """What a platform tells of a replica."""

    async def read(self, plan: ContextPlan) -> Told:
        """All that can be had. Raises WorldError where nothing can."""
        ...


class ContextOfBoth:
    """Asks each workload's own platform."""

    def __init__(self, kubernetes: ContextSource, ecs: ContextSource) -> None:
        self._kubernetes = kubernetes
        self._ecs = ecs

    async def read(self, plan: ContextPlan) -> Told:
        """All that can be had. Raises WorldError where nothing can."""
        on_ecs = plan.workload.platform is Platform.ECS
        return await (self._ecs if on_ecs else self._kubernetes).read(plan)


class EventsOnPolicies:
    """
    A `ports.Announcer` for Kubernetes: what is told of an ECS service stands on its policy.

    The service is no object of the cluster, so an Event could not be found there by anybody.
    """

    def __init__(self, announcer: Announcer, ecs: EcsInventory, policies: Policies) -> None:
        self._announcer = announcer
        self._ecs = ecs
        self._policies = policies

    async def announce(self, notices: Sequence[Notice], /) -> None:
        """Posts each notice once; failures are logged, never raised."""
        # A task's notice says what its service's does.
        told = [self._placed(notice) for notice in notices if notice.regarding.kind != "Task"]
        await self._announcer.announce(told)

    def _placed(self, notice: Notice) -> Notice:
        service = notice.regarding
        if service.kind != "Service":
            return notice
        policy = self._policy_of(service)
        if policy is None:
            # Its policy is gone: the incident is what is left to read.
            subject = notice.related or service
        else:
            subject = Subject(
                kind="MemoryPolicy", namespace=policy.namespace, name=policy.name, uid=policy.uid
            )
        return replace(
            notice,
            regarding=subject,
            message=f"Service {service.name}: {notice.message}"[:MESSAGE_LENGTH],
            # Two services of one policy tell the same: each has its own Event.
            episode=f"{notice.episode} {service.name}",
        )

    def _policy_of(self, service: Subject) -> MemoryPolicy | None:
        for workload in self._ecs.seen:
            if (workload.ref.namespace, workload.ref.name) == (service.namespace, service.name):
                match governing(self._policies(), workload):
                    case Governed(policy=policy):
                        return policy
                    case Conflict(policies=claims):
                        return claims[0]
        return None
