"""
`kill -9` after every side effect of every mechanism: nothing is done twice, nothing is left.

Killed after one is killed before the next: what stands outside is the same, and nothing else survives.

The side effects are not listed by hand: every asynchronous method of every port is one, except those that
only look. A new one is killed from the day it is there.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import pytest

from controller.policy.book import PolicyBook
from controller.ports import World
from controller.reporting.incident import Phase
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import FakeWorld
from tests.sweep.worlds import MINUTE, SCENES, Scene, new_replicas_are_small

ONLY_LOOK = frozenset({"memory", "workloads", "workload", "incidents", "holds", "diagnose"})
"""Methods of ports that change nothing anywhere."""

NO_PORTS = frozenset({"memory_sources", "clock"})
"""Parts of the world that only look and are no object with methods."""

SWEEPS = 60


class Killed(BaseException):
    """The process is gone: nothing after this line happens."""


@dataclass(slots=True)
class Killer:
    """Kills after the `at`-th side effect, once; counts them all."""

    at: int = 0
    counted: int = 0
    names: frozenset[str] = frozenset()

    def around(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """The method as it is, or the last thing the process did."""
        self.names |= {name}

        async def killing(*args: Any, **kwargs: Any) -> Any:
            self.counted += 1
            mine = self.counted == self.at
            result = await original(*args, **kwargs)
            if mine:
                raise Killed(name)
            return result

        return killing


class Instrumented:
    """A port all of whose side effects pass the killer."""

    def __init__(self, port: Any, killer: Killer) -> None:
        self._port = port
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in ONLY_LOOK or not inspect.iscoroutinefunction(method):
            return method
        return self._killer.around(f"{type(self._port).__name__}.{name}", method)


def instrumented(world: World, killer: Killer) -> World:
    ports = {field.name: getattr(world, field.name) for field in fields(world)}
    wrapped = {name: Instrumented(port, killer) for name, port in ports.items() if name not in NO_PORTS}
    return World(**{**ports, **wrapped})


def a_sweeper(world: FakeWorld, killer: Killer) -> Sweeper:
    return Sweeper(instrumented(world.ports, killer), SweepLimits, Retention())


@contextmanager
def _survived() -> Iterator[list[str]]:
    killed: list[str] = []
    try:
        yield killed
    except Killed as how:
        killed.append(str(how))


async def play(scene: Scene, killer: Killer) -> FakeWorld:
    """Sweeps, with looks in between, until the incident is closed; a killed controller comes back anew."""
    world = scene.world()
    sweeper, book = a_sweeper(world, killer), PolicyBook(accepted=(scene.policy,))
    for _ in range(SWEEPS):
        with _survived() as killed:
            await sweeper.sweep(book, world.clock.now)
            while sweeper.following and await sweeper.follow(book, world.clock.pass_time(MINUTE / 10)):
                new_replicas_are_small(world)
        if killed:
            sweeper = a_sweeper(world, killer)
        new_replicas_are_small(world)
        world.clock.pass_time(timedelta(seconds=30) if killed else MINUTE)
        if world.records.stored and not any(one.open for one in await world.records.incidents()):
            break
    with _survived():
        await a_sweeper(world, Killer()).sweep(book, world.clock.now)
    return world


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_killed_anywhere_it_ends_rightly_after_the_same_acts(scene: Scene) -> None:
    unharmed = Killer()
    expected = await play(scene, unharmed)
    assert len(expected.acts) == scene.acts
    assert {name.rpartition(".")[2] for name in unharmed.names} >= {
        "create",
        "update",
        "carry_out",
        "confirm",
        "announce",
        "capture",
        "tidy",
        "write",
        "policy_status",
    }
    for at in range(1, unharmed.counted + 1):
        world = await play(scene, Killer(at=at))

        where = f"killed after side effect {at} of {unharmed.counted}"
        assert world.acts == expected.acts, where
        incident = world.records.only
        assert (incident.status.phase, incident.open) == (Phase.RESOLVED, False), where
        (workload,) = world.inventory.standing.values()
        assert len(workload.replicas) == workload.desired_replicas, where
        assert not any(one.released_for or one.terminating for one in workload.replicas), where
