"""A sweep takes its time: what changes while profiles are taken counts for the act that follows them."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from controller.inventory.workload import Workload, WorkloadRef
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import (
    Day,
    EcsTarget,
    MemoryPolicy,
    Mode,
    RemediationRules,
    Target,
    Window,
)
from controller.ports import FiringAlert, MetricsUnavailable, PlatformUnavailable
from controller.sweep.alerts import BlockingAlerts
from controller.sweep.flow import Sweeper
from controller.sweep.present import Present
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import NOW, FakeWorld
from tests.sweep.test_flow import a_leaking_world, a_sweeper
from tests.sweep.test_requests import RESTART, a_healthy_world
from tests.sweep.worlds import (
    ECS_REF,
    MINUTE,
    QUICK,
    STATEFUL,
    a_quick_policy,
    a_world,
    an_ecs_policy,
    new_replicas_are_small,
)


class EditedPolicies:
    """Policies that people edit while the controller works."""

    def __init__(self, *policies: MemoryPolicy) -> None:
        self.accepted = policies

    async def book(self) -> PolicyBook:
        return PolicyBook(accepted=self.accepted)

    def edit(self, **changes: Any) -> None:
        self.accepted = tuple(replace(one, generation=one.generation + 1, **changes) for one in self.accepted)


def while_profiles_are_taken(world: FakeWorld, happens: Callable[[], object]) -> None:
    capture = world.profiler.capture

    async def meanwhile(plan: Any) -> Any:
        happens()
        return await capture(plan)

    world.profiler.capture = meanwhile  # type: ignore[method-assign]


def stand(world: FakeWorld, **changes: Any) -> None:
    for ref, workload in world.inventory.standing.items():
        world.inventory.standing[ref] = replace(workload, **changes)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda policies: policies.edit(suspend=True), "PolicySuspended"),
        (lambda policies: policies.edit(mode=Mode.OBSERVE), "Unconfirmed"),
        (lambda policies: policies.edit(), "Unconfirmed"),
        (lambda policies: setattr(policies, "accepted", (replace(QUICK, uid="made-anew"),)), "Unconfirmed"),
        (lambda policies: setattr(policies, "accepted", ()), "Unconfirmed"),
        (
            lambda policies: setattr(policies, "accepted", (QUICK, replace(QUICK, name="b", uid="b"))),
            "PolicyConflict",
        ),
    ],
    ids=["suspended", "observes", "edited", "made anew", "deleted", "contested"],
)
async def test_policy_that_changes_while_profiles_are_taken_is_obeyed_in_the_same_sweep(
    edit: Callable[[EditedPolicies], object], reason: str
) -> None:
    world, policies = a_leaking_world(), EditedPolicies(QUICK)
    while_profiles_are_taken(world, lambda: edit(policies))

    await a_sweeper(world).sweep(policies, NOW)

    assert world.profiler.plans
    assert world.remediator.carried_out == []
    assert world.records.only.status.because == reason


async def test_policy_that_was_edited_meanwhile_acts_in_the_next_sweep() -> None:
    world, policies = a_leaking_world(), EditedPolicies(QUICK)
    while_profiles_are_taken(world, policies.edit)
    sweeper = a_sweeper(world)

    await sweeper.sweep(policies, NOW)
    held = world.records.only.status
    assert "policy api was changed while it was looked at" in held.message
    await sweeper.sweep(policies, world.clock.pass_time(MINUTE))

    assert len(world.remediator.carried_out) == 1


async def test_workload_that_goes_away_while_profiles_are_taken_is_not_acted_on() -> None:
    world = a_leaking_world()
    while_profiles_are_taken(world, lambda: stand(world, uid="made-anew"))

    await a_sweeper(world).sweep(EditedPolicies(QUICK), NOW)

    assert "RestartOrdered" not in [entry.what for entry in world.records.only.status.timeline]
    assert "the workload went away" in world.records.only.status.message


async def test_request_that_is_withdrawn_while_profiles_are_taken_restarts_nothing() -> None:
    world = a_healthy_world(RESTART)
    while_profiles_are_taken(world, lambda: stand(world, requests=()))

    await a_sweeper(world).sweep(EditedPolicies(QUICK), NOW)

    assert world.profiler.plans
    assert world.remediator.carried_out == []


async def test_judgement_that_grew_old_while_profiles_were_taken_is_not_acted_on() -> None:
    world = a_leaking_world()
    while_profiles_are_taken(world, lambda: world.clock.pass_time(6 * MINUTE))

    await a_sweeper(world).sweep(EditedPolicies(QUICK), NOW)

    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "MetricsStale"


async def test_blackout_that_begins_while_profiles_are_taken_holds() -> None:
    begins = NOW + 2 * MINUTE
    rules = RemediationRules(
        lead_time=timedelta(minutes=90),
        blackouts=(Window(days=tuple(Day), start=begins.time(), end=time(20), time_zone=ZoneInfo("UTC")),),
    )
    world, policies = a_leaking_world(), EditedPolicies(a_quick_policy(remediation=rules))
    while_profiles_are_taken(world, lambda: world.clock.pass_time(3 * MINUTE))

    await a_sweeper(world).sweep(policies, NOW)

    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "Blackout"


async def test_order_is_dated_when_it_is_given_and_never_before_the_sweep() -> None:
    for passed, dated in ((2 * MINUTE, NOW + 2 * MINUTE), (-2 * MINUTE, NOW)):
        world = a_leaking_world()
        while_profiles_are_taken(world, lambda: world.clock.pass_time(passed))  # noqa: B023

        await a_sweeper(world).sweep(EditedPolicies(QUICK), NOW)

        (order,) = world.remediator.carried_out
        assert order.issued_at == dated


NAMING = a_quick_policy(remediation=replace(QUICK.remediation, blocking_alerts=("HighErrorRate",)))


def alert_fires(world: FakeWorld) -> None:
    world.alerts.firing_now = (FiringAlert(name="HighErrorRate"),)


def alerts_stay_away(world: FakeWorld) -> None:
    world.alerts.failure = MetricsUnavailable("nobody answers")


@pytest.mark.parametrize("settings", [None, re.compile("High.*")], ids=["policy", "settings"])
@pytest.mark.parametrize(
    ("happens", "reason"), [(alert_fires, "AlertFiring"), (alerts_stay_away, "AlertsUnknown")]
)
async def test_alert_that_begins_while_profiles_are_taken_holds_the_act(
    settings: re.Pattern[str] | None, happens: Callable[[FakeWorld], None], reason: str
) -> None:
    world = a_leaking_world()
    while_profiles_are_taken(world, lambda: happens(world))
    limits = SweepLimits(blocking_alerts=BlockingAlerts(pattern=settings))
    policy = NAMING if settings is None else QUICK

    await Sweeper(world.ports, lambda: limits, Retention()).sweep(EditedPolicies(policy), NOW)

    assert world.remediator.carried_out == []
    assert world.records.only.status.because == reason


async def test_nobody_is_asked_for_alerts_before_an_act_that_no_rule_names() -> None:
    world = a_leaking_world()
    world.alerts.failure = AssertionError("was asked")

    await a_sweeper(world).sweep(EditedPolicies(QUICK), NOW)

    assert len(world.remediator.carried_out) == 1


OURS = an_ecs_policy(name="ours")
THEIRS = an_ecs_policy(namespace="bank", name="theirs", uid="theirs")
BANK = replace(ECS_REF, namespace="bank")


def present(world: FakeWorld, *policies: MemoryPolicy) -> Present:
    return Present(world=world.ports, policies=EditedPolicies(*policies), limits=SweepLimits, began_at=NOW)


@pytest.mark.parametrize(
    ("uid", "rivals"),
    [("workload-uid", ("bank/theirs",)), ("another-account's", ())],
    ids=["same", "another"],
)
async def test_ecs_service_that_another_namespace_claims_meanwhile_is_contested(
    uid: str, rivals: tuple[str, ...]
) -> None:
    world = a_world(ECS_REF, leaking=1, of=2)
    world.inventory.standing[BANK] = replace(world.inventory.standing[ECS_REF], ref=BANK, uid=uid)

    moment = await present(world, OURS, THEIRS).look(ECS_REF, "workload-uid")

    assert moment.covered is not None
    assert (moment.covered.policy, moment.covered.rivals) == (OURS, rivals)


async def test_claim_of_who_cannot_reach_the_service_holds_nobody_up() -> None:
    world = a_world(ECS_REF, leaking=1, of=2)
    workload = world.inventory.workload

    async def unreachable(ref: WorkloadRef) -> Workload | None:
        if ref == BANK:
            raise PlatformUnavailable("its role may not be taken")
        return await workload(ref)

    world.inventory.workload = unreachable  # type: ignore[method-assign]
    moment = await present(world, OURS, THEIRS).look(ECS_REF, "workload-uid")

    assert moment.covered is not None
    assert (moment.covered.policy, moment.covered.rivals) == (OURS, ())


async def test_only_namespaces_that_claim_the_service_cost_a_look() -> None:
    world, looked_at = a_world(ECS_REF, leaking=1, of=2), []
    world.inventory.before_look = lambda: looked_at.append(1)
    elsewhere = replace(
        THEIRS, target=Target(ecs=EcsTarget(region="eu-west-1", cluster="other", services=("api",)))
    )

    await present(world, OURS, elsewhere).look(ECS_REF, "workload-uid")

    assert len(looked_at) == 1


async def test_ecs_service_that_is_claimed_while_profiles_are_taken_is_left_alone() -> None:
    world, policies = a_world(ECS_REF, leaking=2, of=2), EditedPolicies(OURS)
    standing = world.inventory.standing
    standing[BANK] = replace(standing[ECS_REF], ref=BANK)
    while_profiles_are_taken(world, lambda: setattr(policies, "accepted", (OURS, THEIRS)))

    await a_sweeper(world).sweep(policies, NOW)

    assert world.profiler.plans
    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "PolicyConflict"


async def begun_to_evict(policies: EditedPolicies) -> tuple[FakeWorld, Sweeper]:
    """One of three replicas is evicted; its successor is ready at the next look."""
    world = a_world(STATEFUL, leaking=3, of=3)
    world.remediator.replicas_start_in = MINUTE
    sweeper = Sweeper(world.ports, SweepLimits, Retention())
    while not world.acts:
        await sweeper.sweep(policies, world.clock.pass_time(MINUTE))
        new_replicas_are_small(world)
    world.clock.pass_time(MINUTE)
    return world, sweeper


async def test_next_replica_is_not_begun_on_a_policy_that_was_suspended_since_the_sweep_began() -> None:
    policies = EditedPolicies(QUICK)
    world, sweeper = await begun_to_evict(policies)
    memory = world.memory.memory

    async def while_memory_is_read(*request: Any) -> Any:
        policies.edit(suspend=True)
        return await memory(*request)

    world.memory.memory = while_memory_is_read  # type: ignore[method-assign]
    await sweeper.sweep(policies, world.clock.now)

    assert len(world.acts) == 1
    assert "CutShort" in [entry.what for entry in world.records.only.status.timeline]


async def test_next_replica_is_not_begun_between_two_sweeps_on_a_policy_that_was_suspended() -> None:
    policies = EditedPolicies(QUICK)
    world, sweeper = await begun_to_evict(policies)
    policies.edit(suspend=True)

    await sweeper.follow(policies, world.clock.now)

    assert len(world.acts) == 1
    assert "CutShort" in [entry.what for entry in world.records.only.status.timeline]
