"""Several controllers, of which the Lease lets one act: it is lost, it is late, and clocks jump."""

import asyncio
from datetime import timedelta

import pytest

from controller.policy.book import PolicyBook
from controller.reporting.incident import Phase
from tests.fakes import FakeLeadership, FakeWorld
from tests.sweep.test_crash_matrix import Killer, a_sweeper
from tests.sweep.worlds import MINUTE, QUICK, SCENES, Scene, new_replicas_are_small


class Lease:
    """One Lease for several candidates: `holder` is the number of the one that has it."""

    def __init__(self) -> None:
        self.holder = 0

    def of(self, number: int) -> FakeLeadership:
        lease = self

        class Candidate(FakeLeadership):
            async def confirm(self) -> bool:
                return lease.holder == number

        return Candidate()


def swept_alike(world: FakeWorld, expected: list[tuple[str, str]]) -> None:
    assert world.acts == expected
    assert world.records.only.status.phase is Phase.RESOLVED
    (workload,) = world.inventory.standing.values()
    assert len(workload.replicas) == workload.desired_replicas
    assert not any(one.released_for for one in workload.replicas)


async def acts_of(scene: Scene) -> list[tuple[str, str]]:
    world = scene.world()
    await sweeps(world, scene, [a_sweeper(world, Killer())])
    return list(world.acts)


async def sweeps(world: FakeWorld, scene: Scene, candidates: list) -> None:  # type: ignore[type-arg]
    """A sweep of every candidate in turn, whoever leads, until the incident is closed."""
    book = PolicyBook(accepted=(scene.policy,))
    for _ in range(60):
        for candidate in candidates:
            await candidate.sweep(book, world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(MINUTE)
        if world.records.stored and not world.records.only.open:
            return


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("scene", SCENES[:3], ids=lambda scene: scene.name)
async def test_lease_that_moves_at_every_sweep_changes_nothing(scene: Scene, replicas: int) -> None:
    world, lease = scene.world(), Lease()
    candidates = []
    for number in range(replicas):
        world.leadership = lease.of(number)
        candidates.append(a_sweeper(world, Killer()))
    book = PolicyBook(accepted=(scene.policy,))
    for turn in range(120):
        lease.holder = turn % replicas
        # The one that led before has not noticed yet, and sweeps as well.
        await candidates[(turn - 1) % replicas].sweep(book, world.clock.now)
        await candidates[lease.holder].sweep(book, world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(MINUTE / 2)
        if world.records.stored and not world.records.only.open:
            break

    swept_alike(world, await acts_of(scene))


@pytest.mark.parametrize("jump", [-timedelta(minutes=5), timedelta(minutes=5)], ids=["back", "forward"])
@pytest.mark.parametrize("scene", SCENES[:3], ids=lambda scene: scene.name)
async def test_clock_that_jumps_after_the_act_changes_nothing(scene: Scene, jump: timedelta) -> None:
    world = scene.world()
    sweeper, book = a_sweeper(world, Killer()), PolicyBook(accepted=(scene.policy,))
    while not world.acts:
        await sweeper.sweep(book, world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(MINUTE)
    await sweeper.sweep(book, world.clock.now + jump)
    await sweeps(world, scene, [sweeper])

    swept_alike(world, await acts_of(scene))


async def test_leader_that_was_stopped_just_before_the_act_finds_that_it_was_done() -> None:
    scene = SCENES[0]
    world = scene.world()
    stopped, woken = asyncio.Event(), asyncio.Event()
    carry_out = world.remediator.carry_out

    async def stopped_here(order: object) -> object:
        stopped.set()
        await woken.wait()
        return await carry_out(order)

    world.remediator.carry_out = stopped_here
    late = asyncio.create_task(
        a_sweeper(world, Killer()).sweep(PolicyBook(accepted=(QUICK,)), world.clock.now)
    )
    await stopped.wait()
    world.remediator.carry_out = carry_out
    world.clock.pass_time(MINUTE / 2)
    await a_sweeper(world, Killer()).sweep(PolicyBook(accepted=(QUICK,)), world.clock.now)
    assert len(world.acts) == 1

    woken.set()
    await late

    assert len(world.acts) == 1
    await sweeps(world, scene, [a_sweeper(world, Killer())])
    swept_alike(world, await acts_of(scene))
