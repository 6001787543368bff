"""Guardrails that need more than one sweep: what is counted, and what only a person ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.decision.situation import Limits, Powers
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import (
    ApprovalRule,
    Budget,
    DetectionRules,
    MemoryPolicy,
    RemediationRules,
)
from controller.ports import FiringAlert, MetricsUnavailable, PlatformUnavailable
from controller.remediation.order import Order, Receipt
from controller.reporting.incident import Incident, Phase
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import MIB, NOW, FakeWorld, a_replica, a_workload
from tests.sweep.test_flow import MINUTE, a_book, a_leaking_world, a_quick_policy, a_sweeper, sweep_for


def a_limited_sweeper(world: FakeWorld, **limits: object) -> Sweeper:
    return Sweeper(world.ports, lambda: SweepLimits(powers=Powers(), limits=Limits(**limits)), Retention())


def a_leaking_fleet(*names: str) -> FakeWorld:
    workloads = []
    for name in names:
        replicas = (a_replica(f"{name}-1"), a_replica(f"{name}-2"))
        workload = a_workload(replicas=replicas)
        workloads.append(replace(workload, ref=replace(workload.ref, name=name), uid=f"uid-{name}"))
    world = FakeWorld(*workloads)
    for workload in workloads:
        for replica in workload.replicas:
            levels = (NOW - timedelta(hours=20), [60 * MIB, 352 * MIB])
            world.memory.levels[ContainerKey("shop", replica.name, "app")] = levels
    return world


def leaks_again(world: FakeWorld, hours: float) -> None:
    """The new replicas climb to the threshold within so many hours, which pass."""
    for workload in world.inventory.standing.values():
        for replica in workload.replicas:
            levels = (replica.created_at, [60 * MIB, 352 * MIB])
            world.memory.levels[ContainerKey("shop", replica.name, "app")] = levels
    world.clock.pass_time(timedelta(hours=hours))


def a_policy_without_cooldown(budget: int) -> MemoryPolicy:
    return a_quick_policy(
        remediation=RemediationRules(
            lead_time=timedelta(minutes=90),
            cooldown=MINUTE,
            budget=Budget(remediations=budget, period=timedelta(hours=720)),
        ),
        detection=DetectionRules(minimum_age=timedelta(minutes=30)),
    )


def acknowledge(world: FakeWorld, incident: str) -> None:
    for ref, workload in world.inventory.standing.items():
        world.inventory.standing[ref] = replace(workload, acknowledged=incident)


async def test_first_look_alone_restarts_nothing() -> None:
    world = a_leaking_world()
    sweeper = a_limited_sweeper(world, looks=2)

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "Unconfirmed"

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    assert len(world.remediator.carried_out) == 1


async def test_look_without_metrics_begins_the_count_anew() -> None:
    world = a_leaking_world()
    sweeper = a_limited_sweeper(world, looks=2)
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    world.memory.failure = MetricsUnavailable("nobody answers")
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    world.memory.failure = None

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    assert world.remediator.carried_out == []

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    assert len(world.remediator.carried_out) == 1


async def test_hourly_limit_counts_what_the_same_sweep_has_done() -> None:
    world = a_leaking_fleet("a", "b", "c")
    sweeper = a_limited_sweeper(world, concurrent=9, concurrent_in_namespace=9, per_hour=2)

    await sweeper.sweep(a_book(a_quick_policy()), NOW)

    assert [order.workload.name for order in world.remediator.carried_out] == ["a", "b"]
    assert "HeldTooManyPerHour" in world.announcer.reasons


@pytest.mark.parametrize("lost", ["answer", "order's write", "receipt's write"])
@pytest.mark.parametrize(
    ("held", "limits"),
    [
        ("HeldTooManyAtOnce", {"concurrent": 1, "per_hour": 9}),
        ("HeldTooManyPerHour", {"concurrent": 9, "per_hour": 1}),
    ],
)
async def test_act_of_which_the_outcome_was_lost_counts_for_the_rest_of_the_sweep(
    lost: str, held: str, limits: dict[str, int]
) -> None:
    world = a_leaking_fleet("a", "b", "c", "d")
    loses(world, lost)

    sweeper = a_limited_sweeper(world, concurrent_in_namespace=9, **limits)
    await sweeper.sweep(a_book(a_quick_policy()), NOW)

    orders = [one for one in await world.records.incidents() if one.ordered]
    assert [one.spec.workload.name for one in orders] == ["a"]
    assert len(world.remediator.carried_out) == (0 if lost == "order's write" else 1)
    assert held in world.announcer.reasons


def loses(world: FakeWorld, lost: str) -> None:
    """From now on what is written, or done, has an effect and no answer."""
    carry_out, update = world.remediator.carry_out, world.records.update

    async def answerless(order: Order) -> Receipt:
        await carry_out(order)
        raise PlatformUnavailable("read timed out")

    async def unwritten(incident: Incident) -> Incident:
        status = incident.status
        written = await update(incident)
        if status.order is not None and (status.receipt is not None) is (lost == "receipt's write"):
            raise PlatformUnavailable("read timed out")
        return written

    if lost == "answer":
        world.remediator.carry_out = answerless
    else:
        world.records.update = unwritten  # type: ignore[method-assign]


async def test_storm_restarts_nothing_until_it_is_over() -> None:
    world = a_leaking_fleet("a", "b", "c", "d", "e")
    policy = a_quick_policy()
    sweeper = a_limited_sweeper(world, concurrent=9, concurrent_in_namespace=9)

    await sweeper.sweep(a_book(policy), NOW)
    await sweeper.sweep(a_book(policy), NOW + 59 * MINUTE)
    assert world.remediator.carried_out == []
    assert world.announcer.reasons.count("HeldLeakStorm") == 5

    await sweeper.sweep(a_book(policy), NOW + 60 * MINUTE)
    assert len(world.remediator.carried_out) == 5


async def test_spent_budget_escalates_until_a_person_acknowledges() -> None:
    world = a_leaking_world()
    sweeper, policy = a_sweeper(world), a_policy_without_cooldown(budget=1)
    await sweep_for(world, sweeper, policy, sweeps=15)
    assert len(world.remediator.carried_out) == 1
    leaks_again(world, hours=20)

    await sweep_for(world, sweeper, policy, sweeps=2)
    (escalated,) = [one for one in await world.records.incidents() if one.open]
    assert escalated.status.phase is Phase.ESCALATED
    assert world.announcer.reasons.count("HeldBudgetSpent") == 1

    generous = a_policy_without_cooldown(budget=9)
    await sweep_for(world, a_sweeper(world), generous, sweeps=2)
    assert len(world.remediator.carried_out) == 1

    acknowledge(world, escalated.name)
    await sweep_for(world, sweeper, policy, sweeps=1)
    assert len(world.remediator.carried_out) == 2


async def test_memory_that_comes_back_ever_faster_is_no_longer_restarted() -> None:
    world = a_leaking_world()
    sweeper, policy = a_sweeper(world), a_policy_without_cooldown(budget=99)
    await sweep_for(world, sweeper, policy, sweeps=15)
    leaks_again(world, hours=9)
    await sweep_for(world, sweeper, policy, sweeps=15)
    assert len(world.remediator.carried_out) == 2
    leaks_again(world, hours=4)

    await sweep_for(world, sweeper, policy, sweeps=2)

    assert len(world.remediator.carried_out) == 2
    (escalated,) = [one for one in await world.records.incidents() if one.open]
    assert (escalated.status.phase, escalated.status.because) == (Phase.ESCALATED, "RestartIneffective")

    acknowledge(world, escalated.name)
    await sweep_for(world, sweeper, policy, sweeps=1)
    assert len(world.remediator.carried_out) == 3


async def test_approval_is_asked_for_given_and_written_down() -> None:
    world = a_leaking_world()
    rules = RemediationRules(lead_time=timedelta(minutes=90), approval=ApprovalRule.REQUIRED)
    sweeper, policy = a_sweeper(world), a_quick_policy(remediation=rules)
    await sweep_for(world, sweeper, policy, sweeps=3)
    held = world.records.only
    assert world.remediator.carried_out == []
    assert held.status.because == "ApprovalRequired"
    assert world.announcer.reasons.count("HeldApprovalRequired") == 1
    digest = held.status.message.partition("bilgepump.dev/approved=")[2].split()[0]

    world.records.stored[held.name]["metadata"]["annotations"] = {
        "bilgepump.dev/approved": digest,
        "bilgepump.dev/approved-by": "ann",
        "bilgepump.dev/approved-until": (world.clock.now + timedelta(hours=1)).isoformat(),
    }
    await sweep_for(world, sweeper, policy, sweeps=1)

    (order,) = world.remediator.carried_out
    assert order.approved_by == "ann"
    assert any("approved by ann" in entry.message for entry in world.records.only.status.timeline)


async def test_command_to_approve_is_that_of_the_workload_as_it_is_now() -> None:
    world = a_leaking_world()
    rules = RemediationRules(lead_time=timedelta(minutes=90), approval=ApprovalRule.REQUIRED)
    sweeper, policy = a_sweeper(world), a_quick_policy(remediation=rules)
    await sweep_for(world, sweeper, policy, sweeps=1)
    before = world.records.only.status.message
    for ref, workload in world.inventory.standing.items():
        world.inventory.standing[ref] = replace(workload, generation=workload.generation + 1)

    await sweep_for(world, sweeper, policy, sweeps=1)

    assert world.records.only.status.message != before
    assert world.announcer.reasons.count("HeldApprovalRequired") == 1


async def test_firing_alert_holds_and_its_end_lets_go() -> None:
    world = a_leaking_world()
    rules = RemediationRules(lead_time=timedelta(minutes=90), blocking_alerts=("HighErrorRate",))
    policy = a_quick_policy(remediation=rules)
    world.alerts.firing_now = (FiringAlert(name="HighErrorRate", namespace="shop"),)
    await sweep_for(world, a_sweeper(world), policy, sweeps=1)
    assert world.records.only.status.because == "AlertFiring"

    world.alerts.firing_now = ()
    await sweep_for(world, a_sweeper(world), policy, sweeps=1)
    assert len(world.remediator.carried_out) == 1
