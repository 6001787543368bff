"""Orders that were begun, and what stood in the way of finishing them."""

from dataclasses import replace

import pytest

from controller.policy.book import PolicyBook
from controller.policy.memory_policy import MemoryPolicy, Mode
from controller.remediation.order import Order, Receipt
from controller.reporting.incident import Incident
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import FakeWorld
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
