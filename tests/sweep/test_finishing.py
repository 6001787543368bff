"""Orders that were begun, and what stood in the way of finishing them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.decision.situation import Limits
from controller.inventory.workload import DisruptionBudget, Workload, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import MemoryPolicy, Mode
from controller.ports import PlatformUnavailable, RemediationRefused
from controller.remediation.order import Order, Receipt
from controller.reporting.incident import Incident
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from controller.verification.recovery import RecoveryOutcome
from tests.fakes import FakeWorld, a_policy, a_replica
from tests.sweep.test_crash_matrix import Killed
from tests.sweep.worlds import MINUTE, QUICK, STATEFUL, a_world, new_replicas_are_small


def an_evicting_world() -> FakeWorld:
    """Three replicas that leak, to be evicted one after another."""
    return a_world(STATEFUL, leaking=3, of=3)


def a_sweeper(world: FakeWorld) -> Sweeper:
    return Sweeper(world.ports, SweepLimits, Retention())


async def sweep_for(world: FakeWorld, sweeper: Sweeper, policy: MemoryPolicy, sweeps: int) -> Incident:
    """One sweep a minute; the first incident afterwards."""
    for _ in range(sweeps):
        await sweeper.sweep(PolicyBook(accepted=(policy,)), world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(MINUTE)
    return (await world.records.incidents())[0]


async def killed_after_the_first_eviction(world: FakeWorld) -> None:
    """The first replica is evicted, and nobody has written that down."""
    carry_out = world.remediator.carry_out

    async def last_act(order: Order) -> Receipt:
        await carry_out(order)
        raise Killed

    world.remediator.carry_out = last_act
    with pytest.raises(Killed):
        await sweep_for(world, a_sweeper(world), QUICK, sweeps=10)
    world.remediator.carry_out = carry_out
    assert (len(world.acts), world.records.only.status.receipt) == (1, None)


@pytest.mark.parametrize("switched_off", [{"suspend": True}, {"mode": Mode.OBSERVE}], ids=str)
async def test_after_a_crash_no_next_replica_is_begun_while_it_may_not(
    switched_off: dict[str, object],
) -> None:
    world = an_evicting_world()
    await killed_after_the_first_eviction(world)

    policy = replace(QUICK, **switched_off)  # type: ignore[arg-type]
    incident = await sweep_for(world, a_sweeper(world), policy, sweeps=20)

    assert len(world.acts) == 1
    assert {"RestartStarted", "CutShort", "RolledOut"} <= {one.what for one in incident.status.timeline}
    assert not incident.open


async def test_step_that_always_fails_ends_at_the_deadline_and_gives_its_slot_back() -> None:
    world = an_evicting_world()
    sweeper, carry_out = a_sweeper(world), world.remediator.carry_out

    async def fails_from_the_second_step(order: Order) -> Receipt:
        if world.acts:
            raise PlatformUnavailable("500: more than one PodDisruptionBudget")
        return await carry_out(order)

    world.remediator.carry_out = fails_from_the_second_step
    incident = await sweep_for(world, sweeper, QUICK, sweeps=50)

    assert len(world.acts) == 1
    assert incident.status.because == RecoveryOutcome.ROLLOUT_STUCK.value
    assert not incident.open
    assert "LeakRecoveryFailed" in world.announcer.reasons


async def test_first_step_that_fails_is_tried_again() -> None:
    world = an_evicting_world()
    carry_out, failures = world.remediator.carry_out, 2

    async def fails_twice(order: Order) -> Receipt:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise PlatformUnavailable("500")
        return await carry_out(order)

    world.remediator.carry_out = fails_twice
    incident = await sweep_for(world, a_sweeper(world), QUICK, sweeps=20)

    assert (len(world.acts), incident.status.because) == (3, RecoveryOutcome.RECOVERED.value)


async def test_order_of_one_that_lost_the_lead_is_left_to_whoever_leads_now() -> None:
    world = an_evicting_world()
    sweeper, carry_out, confirm = a_sweeper(world), world.remediator.carry_out, world.leadership.confirm

    async def led_by_another() -> bool:
        world.leadership.confirm = confirm
        return False

    async def refused_for_what_another_did(order: Order) -> Receipt:
        world.remediator.carry_out, world.leadership.confirm = carry_out, led_by_another
        raise RemediationRefused("409")

    world.remediator.carry_out = refused_for_what_another_did
    incident = await sweep_for(world, sweeper, QUICK, sweeps=20)

    assert (len(world.acts), incident.status.because) == (3, RecoveryOutcome.RECOVERED.value)
    assert "OrderVoided" not in {one.what for one in incident.status.timeline}
    assert "LeakRestartRefused" not in world.announcer.reasons


async def test_no_step_is_taken_when_the_deadline_has_passed() -> None:
    world = an_evicting_world()
    sweeper = a_sweeper(world)
    world.remediator.replicas_start_in = None
    incident = await sweep_for(world, sweeper, QUICK, sweeps=5)
    assert (len(world.acts), incident.open) == (1, True)

    world.clock.pass_time(timedelta(hours=1))
    world.remediator.replicas_start_in = timedelta(0)
    incident = await sweep_for(world, sweeper, QUICK, sweeps=1)

    assert len(world.acts) == 1
    assert incident.status.because == RecoveryOutcome.ROLLOUT_STUCK.value


ELSEWHERE = PolicyBook(accepted=(a_policy(namespace="bank"),))
"""Governs nothing of what is under way."""


async def begun_beside_one_whose_workload_is_gone(world: FakeWorld) -> str:
    """One remediation is under way, and another whose workload was deleted; the name of the first."""
    incident = await sweep_for(world, a_sweeper(world), QUICK, sweeps=3)
    ref = replace(incident.spec.workload, name="cart")
    spec = replace(incident.spec, workload=ref, workload_uid="cart-uid")
    await world.records.update(replace(incident, name="cart-1a", spec=spec))
    return incident.name


def reading_fails(world: FakeWorld, failure: Exception) -> None:
    """A fresh look at what still stands ends in `failure`."""
    look = world.inventory.workload

    async def fails(ref: WorkloadRef) -> Workload | None:
        if ref in world.inventory.standing:
            raise failure
        return await look(ref)

    world.inventory.workload = fails  # type: ignore[method-assign]


async def incidents_of(world: FakeWorld) -> dict[str, Incident]:
    return {one.name: one for one in await world.records.incidents()}


async def test_ungoverned_incident_that_fails_does_not_end_the_sweep() -> None:
    world = an_evicting_world()
    failing = await begun_beside_one_whose_workload_is_gone(world)
    reading_fails(world, KeyError("Service"))

    await a_sweeper(world).sweep(ELSEWHERE, world.clock.now)

    found = await incidents_of(world)
    assert found[failing].open
    assert found["cart-1a"].status.because == RecoveryOutcome.WORKLOAD_GONE.value
    assert "bank/api" in world.records.statuses


async def test_incident_that_cannot_be_followed_does_not_keep_others_from_it() -> None:
    world, book = an_evicting_world(), PolicyBook(accepted=(QUICK,))
    first, second = world.inventory.standing[STATEFUL], replace(STATEFUL, name="cart")
    replicas = tuple(a_replica(f"cart-{one}", uid=f"uid-cart-{one}") for one in range(3))
    world.inventory.standing[second] = replace(first, ref=second, uid="cart-uid", replicas=replicas)
    for one, other in zip(first.replicas, replicas, strict=True):
        level = world.memory.levels[ContainerKey("shop", one.name, "app")]
        world.memory.levels[ContainerKey("shop", other.name, "app")] = level
    both = Limits(concurrent=2, concurrent_in_namespace=2)
    sweeper = Sweeper(world.ports, lambda: SweepLimits(limits=both), Retention())
    world.remediator.replicas_start_in = MINUTE
    while not sweeper.following:
        await sweeper.sweep(book, world.clock.pass_time(MINUTE))
    acts, look = len(world.acts), world.inventory.workload
    assert {name.rpartition("-")[0] for _, name in world.acts} == {"api", "cart"}

    async def fails_for_the_first(ref: WorkloadRef) -> Workload | None:
        if ref == STATEFUL:
            raise KeyError("Service")
        return await look(ref)

    world.inventory.workload = fails_for_the_first  # type: ignore[method-assign]
    assert await sweeper.follow(book, world.clock.pass_time(MINUTE))

    assert [name for _, name in world.acts[acts:]] == ["cart-1"]


async def test_ungoverned_incident_that_can_never_be_read_is_closed_when_it_must_be_over() -> None:
    world = an_evicting_world()
    incident = await sweep_for(world, a_sweeper(world), QUICK, sweeps=3)
    reading_fails(world, PlatformUnavailable("Service is of no kind that is read here"))
    assert incident.status.order
    over_at = incident.status.order.issued_at + 3 * timedelta(minutes=15) + timedelta(minutes=10)

    await a_sweeper(world).sweep(ELSEWHERE, over_at - MINUTE)
    assert world.records.only.open

    await a_sweeper(world).sweep(ELSEWHERE, over_at)
    closed = world.records.only
    assert not closed.open
    assert closed.status.because == RecoveryOutcome.MEMORY_UNMEASURED.value
    assert "of no kind that is read here" in closed.status.message
    assert "LeakRecoveryFailed" in world.announcer.reasons


SUSPENDED = replace(QUICK, suspend=True)


async def evicted_late(world: FakeWorld) -> Sweeper:
    """
    The first of three replicas was replaced, and a budget has kept the second waiting ever since.

    It is later than one replica alone would have been given.
    """
    sweeper = a_sweeper(world)
    while not world.acts:
        await sweep_for(world, sweeper, QUICK, sweeps=1)
    stood = world.inventory.standing[STATEFUL]
    none_now = (DisruptionBudget(name="api", disruptions_allowed=0),)
    world.inventory.standing[STATEFUL] = replace(stood, disruption_budgets=none_now)
    await sweep_for(world, sweeper, QUICK, sweeps=20)
    return sweeper


async def test_order_that_is_cut_short_when_all_it_began_is_done_is_not_called_stuck() -> None:
    world = an_evicting_world()
    sweeper = await evicted_late(world)
    assert "waits for: PodDisruptionBudget api" in world.records.only.status.message

    incident = await sweep_for(world, sweeper, SUSPENDED, sweeps=20)

    assert len(world.acts) == 1
    assert [one.what for one in incident.status.timeline][-3:] == ["CutShort", "RolledOut", "Recovered"]


@pytest.mark.parametrize(("ready_after", "because"), [(10, "Recovered"), (None, "RolloutStuck")])
async def test_replica_that_was_begun_when_it_was_cut_short_has_its_whole_time(
    ready_after: int | None, because: str
) -> None:
    world = an_evicting_world()
    sweeper = await evicted_late(world)
    stood = world.inventory.standing[STATEFUL]
    world.inventory.standing[STATEFUL] = replace(stood, disruption_budgets=())
    world.remediator.replicas_start_in = None
    await sweep_for(world, sweeper, QUICK, sweeps=1)
    assert len(world.acts) == 2

    await sweep_for(world, sweeper, SUSPENDED, sweeps=ready_after or 14)
    assert world.records.only.open
    if ready_after:
        world.remediator.replicas_start_in = timedelta(0)
    incident = await sweep_for(world, sweeper, SUSPENDED, sweeps=10)

    assert (len(world.acts), incident.open, incident.status.because) == (2, False, because)
