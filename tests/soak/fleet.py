"""Hundreds of workloads in simulated time: some leak, most breathe, all roll out as slowly as real ones."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from controller.inventory.workload import (
    DisruptionBudget,
    Replica,
    RolloutState,
    Workload,
    WorkloadRef,
)
from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal
from controller.ports import MemoryRequest, RemediationRefused
from controller.remediation.order import Leftover, Order, Receipt, ReceiptOutcome
from tests.fakes import MIB, NOW, REF, FakeClock, FakeWorld, a_replica, a_workload

LIMIT_BYTES = 512 * MIB
THRESHOLD_BYTES = int(0.70 * LIMIT_BYTES)
CRITICAL_BYTES = int(0.85 * LIMIT_BYTES)
REPLICAS = 2
READY_AFTER = timedelta(minutes=2)
"""How long a new replica takes until it is ready."""
HISTORY = timedelta(hours=40)
"""How long everything has run when the simulation begins."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How the memory of one workload behaves over a replica's age."""

    base_bytes: float
    bytes_per_second: float
    day_bytes: float
    """Swing with the time of day, half of it up and half down."""
    noise_bytes: float

    @property
    def leaks(self) -> bool:
        return self.bytes_per_second > 0

    @property
    def seconds_to_threshold(self) -> float:
        return (THRESHOLD_BYTES - self.base_bytes) / self.bytes_per_second


def habits(workloads: int, leaking: int, seed: int) -> list[Habit]:
    """The first `leaking` leak and fill up to the threshold in 12 to 60 hours; the others breathe."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(workloads):
        base = random.uniform(60, 160) * MIB
        hours = random.uniform(12, 60)
        rate = (THRESHOLD_BYTES - base) / (hours * 3600) if number < leaking else 0.0
        day = 0.0 if number < leaking else random.uniform(0, 60) * MIB
        made.append(Habit(base, rate, day, random.uniform(0.3, 2.0) * MIB))
    return made


def _budget(*, allowed: int) -> DisruptionBudget:
    """One may be missing of a workload at rest, and none of one whose replicas are being replaced."""
    return DisruptionBudget(name="one-at-a-time", disruptions_allowed=allowed)


class Fleet:
    """The workloads, their memory, and the platform that rolls them out."""

    keeps_history = False

    def __init__(
        self, world: FakeWorld, habits: list[Habit], seed: int, progress: tuple[float, float] = (0.2, 0.9)
    ) -> None:
        """Each leaking workload is somewhere between the two shares of its way to the threshold."""
        self.clock: FakeClock = world.clock
        self._standing = world.inventory.standing
        self._noise = np.random.default_rng(seed).standard_normal(4096).astype(np.float32)
        self.habits: dict[WorkloadRef, Habit] = {}
        self.born: dict[ContainerKey, tuple[datetime, WorkloadRef]] = {}
        self.restarts: list[tuple[WorkloadRef, datetime]] = []
        self.replacing: dict[WorkloadRef, list[tuple[Replica, datetime]]] = {}
        self.most_at_once = 0
        self.fewest_ready = REPLICAS
        self.highest: dict[WorkloadRef, float] = {}
        random = np.random.default_rng(seed + 1)
        for number, habit in enumerate(habits):
            age = HISTORY
            if habit.leaks:
                age = min(HISTORY, timedelta(seconds=habit.seconds_to_threshold * random.uniform(*progress)))
            self._add(number, habit, NOW - age)

    def _add(self, number: int, habit: Habit, started: datetime) -> None:
        name = f"w{number:03d}"
        ref = replace(REF, name=name)
        replicas = tuple(self._replica(ref, f"{name}-{one}", started) for one in range(REPLICAS))
        self._standing[ref] = a_workload(
            ref=ref, uid=f"uid-{name}", replicas=replicas, disruption_budgets=(_budget(allowed=1),)
        )
        self.habits[ref] = habit

    def _replica(self, ref: WorkloadRef, name: str, started: datetime) -> Replica:
        self.born[ContainerKey(ref.namespace, name, "app")] = (started, ref)
        container = replace(a_replica().containers[0], started_at=started)
        return a_replica(name, created_at=started, containers=(container,))

    @property
    def standing(self) -> tuple[Workload, ...]:
        """Every workload as it is now."""
        return tuple(self._standing.values())

    def level(self, key: ContainerKey, now: datetime) -> float:
        """Resident memory of one replica, in bytes."""
        started, ref = self.born[key]
        levels = self._levels(
            [self.habits[ref]], np.array([now.timestamp()]), np.array([[started.timestamp()]])
        )
        return float(levels[0, 0])

    # -- the platform ---------------------------------------------------------------------------------

    async def find(self, order: Order) -> Receipt | None:
        done = self._standing[order.workload].remediated_at == order.issued_at
        return self._receipt(order, ReceiptOutcome.ALREADY_DONE) if done else None

    async def carry_out(self, order: Order) -> Receipt:
        if found := await self.find(order):
            return found
        workload = self._standing[order.workload]
        if workload.generation != order.expected_generation:
            raise RemediationRefused("changed since it was judged")
        self.restarts.append((order.workload, self.clock.now))
        self._stand(
            workload,
            generation=workload.generation + 1,
            remediated_at=order.issued_at,
            rollout=RolloutState.PROGRESSING,
            disruption_budgets=(_budget(allowed=0),),
        )
        self.replacing[order.workload] = []
        return self._receipt(order, ReceiptOutcome.DONE)

    async def tidy(self, _unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        return ()

    def tick(self) -> None:
        """What the platform's own controllers do in between: a new replica up, then an old one down."""
        now = self.clock.now
        for ref in list(self.replacing):
            workload = self._standing[ref]
            issued = workload.remediated_at
            assert issued is not None
            old = [one for one in workload.replicas if one.created_at < issued]
            coming = self.replacing[ref]
            if coming and now - coming[0][1] >= READY_AFTER:
                fresh, _ = coming.pop()
                kept = [one for one in workload.replicas if one is not old[0]]
                workload = self._stand(workload, replicas=(*kept, fresh))
                old = old[1:]
            if old and not coming:
                serial = len(self.born)
                coming.append((self._replica(ref, f"{ref.name}-{serial}", now), now))
            if not old:
                self._stand(workload, rollout=RolloutState.STEADY, disruption_budgets=(_budget(allowed=1),))
                del self.replacing[ref]
        self.most_at_once = max(self.most_at_once, len(self.replacing))
        self._measure(now)

    def _measure(self, now: datetime) -> None:
        for ref, habit in self.habits.items():
            workload = self._standing[ref]
            self.fewest_ready = min(self.fewest_ready, len(workload.replicas))
            oldest = min(one.created_at for one in workload.replicas)
            level = habit.base_bytes + habit.bytes_per_second * (now - oldest).total_seconds()
            self.highest[ref] = max(self.highest.get(ref, 0.0), level)

    def _stand(self, workload: Workload, **changes: object) -> Workload:
        stood = replace(workload, **changes)  # type: ignore[arg-type]
        self._standing[workload.ref] = stood
        return stood

    def _receipt(self, order: Order, outcome: ReceiptOutcome) -> Receipt:
        generation = self._standing[order.workload].generation
        return Receipt(outcome=outcome, at=order.issued_at, generation=generation)

    # -- the metrics source ---------------------------------------------------------------------------

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        """Blocks of every replica that stands now."""
        blocks = 576
        width = request.lookback.total_seconds() / blocks
        living = {one.name for workload in self._standing.values() for one in workload.replicas}
        keys = tuple(key for key in self.born if key.pod in living)
        ends = now.timestamp() - width * np.arange(blocks - 1, -1, -1)
        starts = np.array([self.born[key][0].timestamp() for key in keys])[:, None]
        habit = [self.habits[self.born[key][1]] for key in keys]
        floor = self._levels(habit, ends, starts)
        missing = ends[None, :] < starts
        floor[missing] = np.nan
        relative = np.where(missing, np.nan, starts - now.timestamp())
        return BlockMatrix(
            keys=keys,
            end=now.timestamp(),
            block_seconds=width,
            signals={
                Signal.RSS_FLOOR: floor,
                Signal.RSS_TOP: floor,
                Signal.WORKING_SET_FLOOR: floor,
                Signal.WORKING_SET_TOP: floor,
                Signal.LIMIT: np.full_like(floor, LIMIT_BYTES),
                Signal.START_TIME: relative.astype(np.float32),
            },
        )

    def _levels(self, habit: list[Habit], ends: np.ndarray, starts: np.ndarray) -> Matrix:
        base, rate, day, noise = (
            np.array([getattr(one, name) for one in habit])[:, None]
            for name in ("base_bytes", "bytes_per_second", "day_bytes", "noise_bytes")
        )
        ages = np.clip(ends[None, :] - starts, 0, None)
        swing = day / 2 * np.sin(2 * np.pi * ends[None, :] / 86400)
        # The same block of the same container has the same noise whenever it is asked for.
        ticks = (ends[None, :] // 300 + starts // 7).astype(np.int64) % self._noise.size
        return (base + rate * ages + swing + noise * self._noise[ticks]).astype(np.float32)
