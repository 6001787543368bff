"""The flow over an ECS service on fakes: two copies at once, lost answers."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller.inventory.workload import Workload, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import MemoryPolicy, Target
from controller.ports import OutcomeUnknown
from controller.remediation.order import Leftover, Mechanism, Order, Receipt, ReceiptOutcome
from controller.reporting.incident import Phase
from tests.ecs.conftest import REF, TARGET
from tests.fakes import MIB, NOW, FakeWorld, a_replica, a_workload
from tests.sweep.test_flow import a_book, a_sweeper, sweep_for
from tests.sweep.worlds import MINUTE, a_quick_policy, new_replicas_are_small


class EcsLikeRemediator:
    """
    Does what ECS does: every forced deployment is another one, a task can be stopped only once.

    `forced` and `stopped` count what really happened.
    """

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self.forced = 0
        self.stopped: list[str] = []
        self.lose_next_answer = False

    async def tidy(self, _unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        return ()

    async def find(self, order: Order) -> Receipt | None:
        if order.mechanism is Mechanism.REPLACE:
            done = bool(set(order.replicas) & set(self.stopped))
        else:
            done = self._service(order.workload).generation != order.expected_generation
        return self._receipt(order, ReceiptOutcome.ALREADY_DONE) if done else None

    async def carry_out(self, order: Order) -> Receipt:
        if order.mechanism is Mechanism.REPLACE:
            self._stop_next(order)
        elif await self.find(order) is None:
            self.forced += 1
            service = self._service(order.workload)
            self._stand(
                service,
                generation=service.generation + 1,
                replicas=tuple(self._fresh(one.name) for one in service.replicas),
            )
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise OutcomeUnknown("no answer")
        return self._receipt(order, ReceiptOutcome.DONE)

    def _stop_next(self, order: Order) -> None:
        service = self._service(order.workload)
        waiting = [one for one in service.replicas if one.name in order.replicas]
        if waiting:
            self.stopped.append(waiting[0].name)
            others = [one for one in service.replicas if one is not waiting[0]]
            self._stand(service, replicas=(*others, self._fresh(waiting[0].name)))

    def _fresh(self, name: str) -> Any:
        return a_replica(f"{name}-new", created_at=self._world.clock.now)

    def _service(self, ref: WorkloadRef) -> Workload:
        return self._world.inventory.standing[ref]

    def _stand(self, service: Workload, **changes: Any) -> None:
        self._world.inventory.standing[service.ref] = replace(service, **changes)

    def _receipt(self, order: Order, outcome: ReceiptOutcome) -> Receipt:
        generation = self._service(order.workload).generation
        return Receipt(outcome=outcome, at=order.issued_at, generation=generation)


def an_ecs_world(leaking: int, tasks: int = 3) -> FakeWorld:
    """Tasks that climbed in a straight line for 20 h, or stayed where they were."""
    names = [f"task-{number}" for number in range(tasks)]
    world = FakeWorld(
        a_workload(
            ref=REF,
            desired_replicas=tasks,
            ready_replicas=tasks,
            replicas=tuple(a_replica(name) for name in names),
            template_revision="api:1",
        )
    )
    for number, name in enumerate(names):
        levels = [60 * MIB, 352 * MIB] if number < leaking else [60 * MIB, 60.5 * MIB]
        world.memory.levels[ContainerKey("shop", name, "app")] = (NOW - timedelta(hours=20), levels)
    world.remediator = EcsLikeRemediator(world)
    return world


def acts(world: FakeWorld) -> int:
    remediator = world.remediator
    assert isinstance(remediator, EcsLikeRemediator)
    return remediator.forced + len(remediator.stopped)


def the_policy() -> MemoryPolicy:
    return a_quick_policy(target=Target(ecs=TARGET, containers=("app",)))


async def test_lost_answer_holds_until_the_effect_is_seen_and_is_not_repeated() -> None:
    world = an_ecs_world(leaking=3)
    remediator = world.remediator
    assert isinstance(remediator, EcsLikeRemediator)
    remediator.lose_next_answer = True
    sweeper = a_sweeper(world)

    await sweep_for(world, sweeper, the_policy(), sweeps=1)
    assert world.records.only.status.because == "OutcomeUnknown"
    await sweep_for(world, sweeper, the_policy(), sweeps=14)

    assert remediator.forced == 1
    assert world.records.only.status.phase is Phase.RESOLVED
    whats = [entry.what for entry in world.records.only.status.timeline]
    assert whats[-5:] == ["RestartOrdered", "OutcomeUnknown", "RestartStarted", "RolledOut", "Recovered"]


async def test_order_of_which_nothing_is_seen_is_voided_and_decided_anew() -> None:
    world = an_ecs_world(leaking=3)
    world.leadership.leads = False
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, the_policy(), sweeps=1)
    world.leadership.leads = True

    await sweep_for(world, sweeper, the_policy(), sweeps=1)
    assert world.records.only.status.because == "OutcomeUnknown"
    assert acts(world) == 0
    await sweep_for(world, sweeper, the_policy(), sweeps=16)

    assert acts(world) == 1
    assert world.records.only.status.phase is Phase.RESOLVED


async def test_several_leaking_tasks_of_many_are_replaced_one_after_another() -> None:
    world = an_ecs_world(leaking=2, tasks=6)
    remediator = world.remediator
    assert isinstance(remediator, EcsLikeRemediator)

    await sweep_for(world, a_sweeper(world), the_policy(), sweeps=1)
    assert remediator.stopped == ["task-0"]
    await sweep_for(world, a_sweeper(world), the_policy(), sweeps=16)

    assert remediator.stopped == ["task-0", "task-1"]
    assert world.records.only.status.phase is Phase.RESOLVED


async def test_rollback_to_another_revision_is_a_failure() -> None:
    world = an_ecs_world(leaking=3)
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, the_policy(), sweeps=2)
    service = world.inventory.standing[REF]
    world.inventory.standing[REF] = replace(service, template_revision="api:0")

    await sweep_for(world, sweeper, the_policy(), sweeps=1)

    assert world.records.only.status.phase is Phase.FAILED
    assert world.records.only.status.because == "OtherRevision"


async def test_two_copies_over_the_same_records_act_once() -> None:
    world = an_ecs_world(leaking=3)
    first, second = a_sweeper(world), a_sweeper(world)

    for _ in range(15):
        await first.sweep(a_book(the_policy()), world.clock.now)
        await second.sweep(a_book(the_policy()), world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(MINUTE)

    assert acts(world) == 1
