"""A day of a large fleet, compressed: few restarts, none of them wrong, and the controller stays small."""

import gc
import resource
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from controller.decision.situation import Limits
from controller.decision.windows import open_until
from controller.detection.assess import assess
from controller.detection.assessment import Verdict
from controller.inventory.workload import WorkloadRef
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.policy.memory_policy import (
    Day,
    DetectionRules,
    MemoryPolicy,
    RemediationRules,
    Strategy,
    VerificationRules,
    Window,
)
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import FakeWorld, a_policy
from tests.soak.fleet import CRITICAL_BYTES, REPLICAS, Fleet, habits
from tests.sweep.test_flow import a_book

SEED = 20260302
EVERY = timedelta(minutes=5)
LIMITS = Limits(concurrent=2, concurrent_in_namespace=2, per_hour=6, looks=2)
# The simulation begins at noon.
RUSH_HOUR = Window(days=tuple(Day), start=time(18), end=time(19), time_zone=ZoneInfo("UTC"))


def the_policy() -> MemoryPolicy:
    return a_policy(
        detection=DetectionRules(minimum_age=timedelta(minutes=30)),
        remediation=RemediationRules(
            strategy=Strategy.ROLLING_RESTART, lead_time=timedelta(minutes=30), blackouts=(RUSH_HOUR,)
        ),
        verification=VerificationRules(progress_deadline=timedelta(minutes=30), soak=timedelta(minutes=10)),
    )


def resident_bytes() -> int:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def live(
    workloads: int, leaking: int, hours: float, progress: tuple[float, float] = (0.2, 0.9)
) -> tuple[Fleet, FakeWorld, list[int]]:
    """Sweeps every five minutes for so many hours; and the controller's resident memory after each sweep."""
    world = FakeWorld()
    fleet = Fleet(world, habits(workloads, leaking, SEED), SEED, progress)
    world.memory = fleet  # type: ignore[assignment]
    world.remediator = fleet  # type: ignore[assignment]
    sweeper = Sweeper(world.ports, lambda: SweepLimits(limits=LIMITS), Retention())
    policy, resident = the_policy(), []
    for _ in range(int(timedelta(hours=hours) / EVERY)):
        await sweeper.sweep(a_book(policy), world.clock.now)
        # What fakes record for tests is not the controller's memory.
        world.announcer.notices.clear()
        world.profiler.plans.clear()
        world.reporter.written.clear()
        gc.collect()
        resident.append(resident_bytes())
        for _ in range(5):
            world.clock.pass_time(EVERY / 5)
            fleet.tick()
    return fleet, world, resident


def fewest_restarts(fleet: Fleet, began_at: datetime) -> int:
    """As few as anybody could do with: each leaking workload restarted at the very threshold."""
    needed = 0
    for ref, habit in fleet.habits.items():
        if not habit.leaks:
            continue
        first = min(born for born, owner in fleet.born.values() if owner == ref)
        crosses = first + timedelta(seconds=habit.seconds_to_threshold)
        while crosses < fleet.clock.now:
            needed += crosses >= began_at
            crosses += timedelta(seconds=habit.seconds_to_threshold)
    return needed


def restarted_wrongly(fleet: Fleet) -> list[str]:
    return [str(ref) for ref, _ in fleet.restarts if not fleet.habits[ref].leaks]


def kept_every_limit(fleet: Fleet) -> bool:
    """Whether no restart was one too many of the hour, in the rush hour, or within a cooldown."""
    rules, times = the_policy().remediation, [at for _, at in fleet.restarts]
    within_an_hour = [sum(at <= other < at + timedelta(hours=1) for other in times) for at in times]
    last: dict[WorkloadRef, datetime] = {}
    for ref, at in fleet.restarts:
        if open_until(rules.blackouts, at) or (ref in last and at - last[ref] < rules.cooldown):
            return False
        last[ref] = at
    return max(within_an_hour, default=0) <= LIMITS.per_hour


def reached_critical(fleet: Fleet) -> list[str]:
    return [str(ref) for ref, level in fleet.highest.items() if level >= CRITICAL_BYTES]


async def test_six_hours_of_a_small_fleet() -> None:
    fleet, _, _ = await live(workloads=30, leaking=5, hours=6, progress=(0.6, 0.95))

    assert fleet.restarts
    assert restarted_wrongly(fleet) == []
    assert reached_critical(fleet) == []
    assert kept_every_limit(fleet)
    assert fleet.fewest_ready == REPLICAS
    assert fleet.most_at_once <= 2


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_a_day_of_a_large_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    fleet, world, resident = await live(workloads=300, leaking=40, hours=24)
    fewest = fewest_restarts(fleet, world.clock.now - timedelta(hours=24))

    with capsys.disabled():
        print(
            f"\n300 workloads, 40 leak, 24 h: {len(fleet.restarts)} restarts, {fewest} at the least; "
            f"never fewer than {fleet.fewest_ready} of {REPLICAS} replicas, at most {fleet.most_at_once} "
            f"workloads at once; controller after 1, 6, 12, 18 and 24 h: "
            f"{', '.join(str(resident[hours * 12 - 1] >> 20) for hours in (1, 6, 12, 18, 24))} MiB"
        )
    assert restarted_wrongly(fleet) == []
    assert reached_critical(fleet) == []
    assert kept_every_limit(fleet)
    assert fewest <= len(fleet.restarts) <= 1.25 * fewest + 2
    assert fleet.fewest_ready == REPLICAS
    assert fleet.most_at_once <= 2
    assert verdict_on(resident) is Verdict.HEALTHY


def verdict_on(resident: list[int]) -> Verdict:
    """What the detector says of the controller that ran it, limit as the chart sets it."""
    floor = np.array([resident], dtype=np.float32)
    now = datetime(2026, 3, 3, 12, tzinfo=UTC)
    ages = EVERY.total_seconds() * np.arange(len(resident) - 1, -1, -1)
    starts = np.full_like(floor, -ages[0] - 1.0)
    (assessment,) = assess(
        BlockMatrix(
            keys=(ContainerKey("bilgepump", "bilgepump-0", "controller"),),
            end=now.timestamp(),
            block_seconds=EVERY.total_seconds(),
            signals={
                Signal.RSS_FLOOR: floor,
                Signal.RSS_TOP: floor,
                Signal.WORKING_SET_FLOOR: floor,
                Signal.WORKING_SET_TOP: floor,
                Signal.LIMIT: np.full_like(floor, 512 * 2**20),
                Signal.START_TIME: starts,
            },
        ),
        DetectionRules(lookback=timedelta(hours=24)),
        now,
    )
    return assessment.verdict
