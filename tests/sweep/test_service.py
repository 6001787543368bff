"""How requests are served, compared by the sweep: asked before the act and after the soak, and told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import ErrorRatioRule, MemoryPolicy, Series
from controller.ports import MetricsUnavailable
from controller.remediation.order import Order, Receipt
from controller.reporting.incident import Phase
from controller.reporting.incident_conditions import incident_conditions
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import NOW, FakeWorld
from tests.sweep.test_flow import a_leaking_world, a_sweeper, sweep_for
from tests.sweep.worlds import MINUTE, a_quick_policy

RULE = ErrorRatioRule(requests=Series(metric="requests_total"), errors=Series(metric="errors_total"))
SOAK = timedelta(minutes=10)


def a_comparing_policy() -> MemoryPolicy:
    policy = a_quick_policy()
    return replace(policy, verification=replace(policy.verification, error_ratio=RULE))


def served(error_ratio: float) -> ServiceLevel:
    return ServiceLevel(window=SOAK, requests=5000, error_ratio=error_ratio)


def a_serving_world(*levels: ServiceLevel | Exception) -> FakeWorld:
    world = a_leaking_world()
    world.service.levels = list(levels)
    return world


def compared(world: FakeWorld) -> str:
    conditions = {one["type"]: one for one in incident_conditions(world.records.only)}
    return str(conditions["ServiceCompared"]["status"])


async def test_requests_that_fail_more_often_than_before_make_it_a_failure() -> None:
    world = a_serving_world(served(0.001), served(0.05))

    await sweep_for(world, a_sweeper(world), a_comparing_policy(), sweeps=15)

    incident = world.records.only
    assert (incident.status.phase, incident.status.because) == (Phase.FAILED, "ServiceDegraded")
    assert "error ratio 5 %, 0.1 % before, at most 1.1 % is allowed" in incident.status.message
    assert f"bilgepump acknowledge {incident.name} -n shop" in incident.status.message
    assert world.announcer.reasons[-1] == "LeakRecoveryFailed"
    assert compared(world) == "True"


async def test_it_is_asked_for_as_long_before_the_act_as_after_it() -> None:
    world = a_serving_world(served(0.001), served(0.002))

    await sweep_for(world, a_sweeper(world), a_comparing_policy(), sweeps=15)

    incident = world.records.only
    assert incident.status.phase is Phase.RESOLVED
    assert "error ratio 0.2 %, 0.1 % before" in incident.status.message
    (before, asked_before), (after, asked_after) = world.service.asked
    assert (before.window, after.window) == (SOAK, SOAK)
    assert incident.status.order is not None
    assert incident.status.rolled_out_at is not None
    assert asked_before == incident.status.order.issued_at
    assert asked_after == incident.status.rolled_out_at + SOAK
    assert before.replicas == ("api-1", "api-2")
    assert set(after.replicas).isdisjoint(before.replicas)


async def test_what_was_before_is_written_down_before_the_act() -> None:
    world = a_serving_world(served(0.001))
    carry_out = world.remediator.carry_out
    written: list[Any] = []

    async def watched(order: Order) -> Receipt:
        written.append(world.records.only.status.order)
        receipt: Receipt = await carry_out(order)
        return receipt

    world.remediator.carry_out = watched
    await sweep_for(world, a_sweeper(world), a_comparing_policy(), sweeps=3)

    (before,) = [order.service_before for order in written]
    assert before == replace(served(0.001), rules=before.rules)
    assert before.rules


@pytest.mark.parametrize(
    ("edit", "compares"),
    [
        pytest.param({"error_ratio": replace(RULE, errors=Series(metric="other_total"))}, False, id="metric"),
        pytest.param({"error_ratio": replace(RULE, maximum_increase=0.0)}, False, id="bound"),
        pytest.param({"soak": SOAK / 2}, False, id="soak"),
        pytest.param({"maximum_memory_ratio": 1.3}, True, id="something else"),
    ],
)
async def test_numbers_of_rules_that_were_edited_meanwhile_are_not_compared(
    edit: dict[str, Any], compares: bool
) -> None:
    world = a_serving_world(served(0.001), served(0.05))
    sweeper, policy = a_sweeper(world), a_comparing_policy()
    await sweep_for(world, sweeper, policy, sweeps=3)
    assert world.records.only.status.phase is Phase.VERIFYING

    edited = replace(policy, generation=2, verification=replace(policy.verification, **edit))
    await sweep_for(world, sweeper, edited, sweeps=15)

    status = world.records.only.status
    assert (status.because == "ServiceDegraded") is compares
    assert ("not compared: the policy's rules for it were changed" in status.message) is not compares
    assert compared(world) == ("True" if compares else "False")


async def test_metrics_that_stay_away_fail_nothing_and_are_told() -> None:
    world = a_serving_world(served(0.001), MetricsUnavailable("nobody answers"))
    sweeper = a_sweeper(world)

    await sweep_for(world, sweeper, a_comparing_policy(), sweeps=15)
    assert world.records.only.status.phase is Phase.VERIFYING
    await sweep_for(world, sweeper, a_comparing_policy(), sweeps=15)

    incident = world.records.only
    assert incident.status.phase is Phase.RESOLVED
    assert "error ratio not compared: after: nobody answers" in incident.status.message
    assert "not compared" in world.announcer.notices[-1].message
    assert compared(world) == "False"


async def test_metrics_that_are_away_before_the_act_do_not_hold_it() -> None:
    world = a_serving_world(MetricsUnavailable("nobody answers"), served(0.9))

    await sweep_for(world, a_sweeper(world), a_comparing_policy(), sweeps=15)

    assert world.records.only.status.phase is Phase.RESOLVED
    assert "not compared: before: nobody answers" in world.records.only.status.message
    assert compared(world) == "False"


async def test_source_that_cannot_tell_is_said() -> None:
    world = a_leaking_world()
    ports = replace(world.ports, service_sources={})
    sweeper = Sweeper(ports, SweepLimits, Retention())

    await sweep_for(world, sweeper, a_comparing_policy(), sweeps=15)

    assert "metrics source default does not tell it" in world.records.only.status.message


async def test_policy_that_does_not_ask_costs_no_query() -> None:
    world = a_leaking_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    assert world.service.asked == []
    assert {one["type"] for one in incident_conditions(world.records.only)} == {"Closed", "Recovered"}


async def test_policy_that_is_gone_asks_nothing_more() -> None:
    world = a_serving_world(served(0.001), served(0.9))
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, a_comparing_policy(), sweeps=3)
    assert world.records.only.status.phase is Phase.VERIFYING
    elsewhere = a_quick_policy(namespace="bank", name="other", uid="other")

    await sweep_for(world, sweeper, elsewhere, sweeps=30, every=MINUTE)

    assert len(world.service.asked) == 1
    assert world.records.only.status.because != "ServiceDegraded"
    assert world.clock.now > NOW
