"""
Restarts an ECS service, at most once per order.

Wholly leaking: a forced deployment of the same revision. ECS takes no precondition, so before it the service
is looked at afresh and then the lease, it is sent once, and where its answer is lost nothing is repeated: the
service's primary deployment tells whether it was begun.

Partly leaking: the leaking tasks are stopped one at a time; the next one only when the service is whole
again. A task can be stopped only once, and the reason it was given names the incident.
"""

from collections.abc import Callable, Collection

from controller.inventory.workload import RolloutState, Workload
from controller.platforms.ecs.api import Document, EcsApi
from controller.platforms.ecs.inventory import EcsInventory
from controller.platforms.ecs.reading import generation
from controller.platforms.leading import Confirm, expect_leadership
from controller.policy.memory_policy import EcsTarget
from controller.ports import RemediationRefused
from controller.remediation.order import Leftover, Mechanism, Order, Receipt, ReceiptOutcome


class EcsRestarts:
    """The only place that changes a service."""

    def __init__(self, inventory: EcsInventory, api: Callable[[EcsTarget], EcsApi], confirm: Confirm) -> None:
        """
        `confirm` is asked last of all before each act.

        Whoever was paused after the look at the service would otherwise repeat what another copy has done.
        """
        self._inventory = inventory
        self._api = api
        self._confirm = confirm

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order of which the service shows the effect. Raises PlatformUnavailable."""
        workload = await self._inventory.workload(order.workload)
        if workload is None or workload.uid != order.workload_uid:
            return None
        if order.mechanism is Mechanism.REPLACE:
            begun = any(_stopped_for(task, order) for task in await self._ordered_tasks(order))
        else:
            begun = _deployed_again(workload, order)
        return _receipt(order, workload.generation, ReceiptOutcome.ALREADY_DONE) if begun else None

    async def carry_out(self, order: Order) -> Receipt:
        """Does what is ordered, or its next step. Raises RemediationRefused, OutcomeUnknown."""
        workload = await self._inventory.workload(order.workload)
        if workload is None or workload.uid != order.workload_uid:
            raise RemediationRefused(f"{order.workload} is no longer the one that was judged")
        if order.mechanism is Mechanism.REPLACE:
            return await self._replace_next(order, workload)
        return await self._deploy(order, workload)

    async def tidy(self, _unfinished: Collection[str]) -> tuple[Leftover, ...]:
        """Nothing: a stopped task leaves nothing behind, and ECS itself finishes a deployment."""
        return ()

    async def _deploy(self, order: Order, workload: Workload) -> Receipt:
        if _deployed_again(workload, order):
            return _receipt(order, workload.generation, ReceiptOutcome.ALREADY_DONE)
        _expect_unchanged(workload, order)
        if workload.rollout is not RolloutState.STEADY:
            raise RemediationRefused(f"{order.workload}: {workload.rollout_message}")
        api, cluster, service = self._place(order)
        await expect_leadership(self._confirm)
        deployed = await api.force_deployment(cluster, service)
        return _receipt(order, generation(deployed), ReceiptOutcome.DONE)

    async def _replace_next(self, order: Order, workload: Workload) -> Receipt:
        _expect_unchanged(workload, order)
        waiting = [one for one in workload.replicas if one.name in order.replicas and not one.terminating]
        under_way = any(one.terminating for one in workload.replicas) or not workload.all_ready
        if not waiting or under_way or workload.rollout is not RolloutState.STEADY:
            return _receipt(order, workload.generation, ReceiptOutcome.ALREADY_DONE)
        # The order's own sequence, not the listing's: a copy that was paused over its look and is no leader
        # any more asks for the stop of the same task again, which ECS does once.
        task = min(waiting, key=lambda one: order.replicas.index(one.name))
        if task.protected_until is not None:
            raise RemediationRefused(f"task {task.name} is protected until {task.protected_until:%H:%M:%SZ}")
        api, cluster, service = self._place(order)
        await expect_leadership(self._confirm)
        await api.stop_task(cluster, service, task.uid, reason_of(order))
        return _receipt(order, workload.generation, ReceiptOutcome.DONE)

    async def _ordered_tasks(self, order: Order) -> list[Document]:
        api, cluster, _ = self._place(order)
        return await api.described_tasks(cluster, order.replicas)

    def _place(self, order: Order) -> tuple[EcsApi, str, str]:
        _, cluster, service = order.workload.name.split("/")
        target = self._inventory.target(order.workload)
        if target is None:
            raise RemediationRefused(f"no policy says any more how to reach {order.workload}")
        return self._api(target), cluster, service


def reason_of(order: Order) -> str:
    """What `stoppedReason` says afterwards: it names the incident."""
    return f"bilgepump {order.id}: memory leak, one task at a time"


def _stopped_for(task: Document, order: Order) -> bool:
    return task.get("stoppedReason") == reason_of(order)


def _deployed_again(workload: Workload, order: Order) -> bool:
    """Another deployment of the same revision is primary: ours, or one that does the same."""
    return (
        workload.generation != order.expected_generation
        and workload.template_revision == order.expected_revision
    )


def _expect_unchanged(workload: Workload, order: Order) -> None:
    if workload.generation != order.expected_generation:
        raise RemediationRefused(
            f"{order.workload} was deployed since it was judged: it runs {workload.template_revision}"
        )


def _receipt(order: Order, reached: int, outcome: ReceiptOutcome) -> Receipt:
    return Receipt(outcome=outcome, at=order.issued_at, generation=reached)
