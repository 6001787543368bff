"""The stage on which families draw containers: a clock, a load, textures, lives and the recording of them.

Levels are shares of the reference limit (0..1) on the grid `hour` (n,), so that one shape serves every
size of pod. Parameters are drawn wide on purpose: no figure here describes one service.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from tests.benchmarks.detection.recording import (
    ACTIVE_FILE,
    CACHE,
    GOROUTINES,
    HEAP_INUSE,
    LIMIT,
    NEXT_GC,
    REQUESTS,
    RESOURCE_LIMIT,
    RESTARTS,
    RSS,
    START,
    WORKING_SET,
    Recording,
)

Values = NDArray[np.float64]

MONDAY = 1_772_409_600.0
HOUR = 3600.0
MEBIBYTE = 2.0**20
PAGE = 4096
_LIMITS_MEBIBYTES = (96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)
_SERVICES = (
    "api",
    "cart",
    "checkout",
    "ledger",
    "mailer",
    "search",
    "session",
    "stock",
    "tiler",
    "gateway",
    "audit",
)
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
RUNTIMES = ("go", "jvm", "node", "python", "native")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoRuntime:
    """What a Go process tells about itself: live heap (n,) as share of the limit, goroutines (n,)."""

    live: Values
    goroutines: Values


class Scene:
    """Draws everything one case needs from one random generator."""

    def __init__(self, rng: np.random.Generator, *, hostile: bool, hours: float | None = None) -> None:
        self.rng = rng
        self.hostile = hostile
        self.hours = float(np.clip(hours or self.between(36, 240, log=True), 36, 240))
        fine = self.hours < 72 or (self.hours < 130 and rng.random() < 0.25)
        self.step = 60.0 if fine else 300.0
        self.hour = np.arange(0, self.hours, self.step / HOUR)
        phase = float(rng.integers(0, 168 * 12)) / 12
        self.epoch = MONDAY + phase * HOUR
        self.clock = (phase + self.hour) % 24
        self.weekday = ((phase + self.hour) // 24 % 7).astype(int)
        self.limit_bytes = float(rng.choice(_LIMITS_MEBIBYTES)) * MEBIBYTE
        self.runtime = str(rng.choice(RUNTIMES))
        self.namespace = f"bench-{rng.integers(0, 16**8):08x}"
        self.service = str(rng.choice(_SERVICES))

    # -- drawing

    def between(self, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def word(self, length: int) -> str:
        return "".join(self.rng.choice(list(_LETTERS), length))

    def pod_name(self, template: str | None = None) -> str:
        return f"{self.service}-{template or self.word(9)}-{self.word(5)}"

    # -- ingredients

    def noise(self, deviation: float, phi: float | None = None) -> Values:
        """AR(1) of the given standard deviation (n,)."""
        phi = self.between(0.3, 0.98) if phi is None else phi
        return ar1(self.rng.normal(0, deviation * np.sqrt(1 - phi**2), len(self.hour)), phi)

    def load(self, *, weekend: float | None = None) -> Values:
        """Traffic over day and week in 0..1 (n,): one or two bumps a day, quieter nights and weekends."""
        sharp, peak = self.between(0.6, 3), self.between(0, 24)
        day = (0.5 + 0.5 * np.cos(2 * np.pi * (self.clock - peak) / 24)) ** sharp
        if self.chance(0.4):
            second = (0.5 + 0.5 * np.cos(2 * np.pi * (self.clock - peak - self.between(4, 9)) / 24)) ** (
                2 * sharp
            )
            day = np.maximum(day, self.between(0.5, 0.95) * second)
        weekend = self.between(0.3, 1.0) if weekend is None else weekend
        days = (self.hour // 24).astype(int)
        size = np.exp(self.rng.normal(0, 0.06, days[-1] + 1))[days]
        quiet = self.between(0.05, 0.5)
        level = (quiet + (1 - quiet) * day * size) * np.where(self.weekday >= 5, weekend, 1.0)
        level = np.clip(level + self.noise(0.015), 0.01, None)
        return level / level.max()

    def teeth(self, period_hours: float, jitter: float = 0.15) -> Values:
        """Sawtooth 0..1 (n,) with uneven periods and heights."""
        count = int(self.hours / period_hours) + 4
        ends = np.cumsum(period_hours * np.exp(self.rng.normal(0, jitter, count)))
        while ends[-1] < self.hours + 2 * period_hours:
            ends = np.r_[ends, ends[-1] + period_hours]
        ends -= self.rng.uniform(0, period_hours)
        tooth = np.searchsorted(ends, self.hour, side="right")
        before = np.r_[ends[0] - period_hours, ends][tooth]
        height = np.exp(self.rng.normal(0, jitter / 2, len(ends) + 1))[tooth]
        return (self.hour - before) / (ends[tooth] - before) * height

    def texture(self) -> Values:
        """Relative fluctuation (n,) laid over every level: noise, the collector's teeth, slow breath,
        small jumps.
        """
        fluctuation = self.noise(self.between(0.0008, 0.012, log=True))
        if self.runtime == "jvm":
            fluctuation += self.between(0.03, 0.14) * self.teeth(self.between(0.1, 2.0, log=True), 0.25)
        elif self.runtime == "node":
            fluctuation += self.between(0.01, 0.05) * self.teeth(self.between(0.1, 0.6), 0.3)
        if self.chance(0.4):
            slow = np.exp(-self.step / HOUR / self.between(0.5, 6))
            fluctuation += self.noise(self.between(0.003, 0.03, log=True), slow)
        if self.chance(0.25):
            fluctuation += self._small_jumps()
        return fluctuation

    def _small_jumps(self) -> Values:
        """Level shifts (n,) of a few percent up and down, as buffers and arenas make them."""
        count = self.rng.integers(1, 7)
        at = np.sort(self.rng.uniform(0, self.hours, count))
        sizes = self.rng.normal(0, 0.025, count + 1)
        return sizes[np.searchsorted(at, self.hour)]

    def spikes(self, per_day: float, height: float, hours: float) -> Values:
        """Short plateaus 0..height (n,) at random times."""
        level = np.zeros(len(self.hour))
        for _ in range(self.rng.poisson(per_day * self.hours / 24)):
            begin = self.between(0, self.hours)
            lasts = hours * self.between(0.5, 1.6)
            inside = (self.hour >= begin) & (self.hour < begin + lasts)
            level[inside] = np.maximum(level[inside], height * self.between(0.5, 1.0))
        return level

    def age(self, starts: list[float]) -> tuple[Values, NDArray[np.int64]]:
        """Hours since the newest start (n,), and which life it is (n,); NaN and -1 before the first."""
        order = np.sort(np.array(starts, dtype=float))
        life = np.searchsorted(order, self.hour, side="right") - 1
        return np.where(life >= 0, self.hour - order[np.maximum(life, 0)], np.nan), life

    # -- recording

    def record(
        self,
        share: Values,
        *,
        starts: list[float] | None = None,
        ends: float = np.inf,
        limit: Values | None = None,
        load: Values | None = None,
        go: GoRuntime | None = None,
        active: Values | None = None,
        shmem: Values | None = None,
        kernel: Values | None = None,
        omit: tuple[str, ...] = (),
        pod: str | None = None,
        container: str = "app",
        missing: float | None = None,
        quantum: float | None = None,
    ) -> Recording:
        """Turn shares into recorded series.

        `share` is anonymous memory (the RSS), `active`, `shmem`, `kernel` what else the working set holds;
        `limit` in bytes; `load` becomes a request counter; `starts` are hours of the record, the first may be
        negative.
        """
        starts = sorted(starts if starts is not None else [-self.between(0.2, 200, log=True)])
        n, rng = len(self.hour), self.rng
        zero = np.zeros(n)
        active = np.full(n, self.between(0.002, 0.02)) if active is None else active
        shmem, kernel = (zero if shmem is None else shmem), (zero if kernel is None else kernel)
        inactive = np.abs(self.noise(0.02)) + self.between(0, 0.2)
        series = {
            WORKING_SET: share + active + shmem + kernel,
            RSS: share,
            CACHE: active + shmem + inactive,
            ACTIVE_FILE: active,
        }
        grain = quantum or PAGE
        series = {
            name: np.round(np.maximum(v, 0) * self.limit_bytes / grain) * grain for name, v in series.items()
        }
        told = LIMIT if self.chance(0.75) else RESOURCE_LIMIT
        series[told] = np.full(n, self.limit_bytes) if limit is None else limit
        _, life = self.age(starts)
        series[START] = np.array(starts)[np.maximum(life, 0)] * HOUR + self.epoch
        series[RESTARTS] = np.maximum(life, 0).astype(float) + rng.integers(0, 3)
        series |= self._go_series(go or self._usual_go(share), life)
        if load is not None:
            series[REQUESTS] = self._counter(load, life)
        lives = (life >= 0) & (self.hour <= ends)
        lost = self._lost(missing)
        for name in series:
            gone = ~lives | (lost if name not in (START, RESTARTS, LIMIT, RESOURCE_LIMIT) else False)
            series[name] = np.where(gone, np.nan, series[name])
        kept = {name: values for name, values in series.items() if name not in omit}
        return Recording(
            namespace=self.namespace,
            pod=pod or self.pod_name(),
            container=container,
            time=self.epoch + self.hour * HOUR,
            series=kept,
            lingers=len(starts) > 1 and self.chance(0.5),
        )

    def _usual_go(self, share: Values) -> GoRuntime | None:
        if self.runtime != "go" or self.chance(0.15):
            return None
        count = self.between(12, 900, log=True)
        return GoRuntime(live=0.42 * share, goroutines=count * (1 + np.abs(self.noise(0.08, 0.6))))

    def _go_series(self, go: GoRuntime | None, life: NDArray[np.int64]) -> dict[str, Values]:
        if go is None:
            return {}
        goal = np.maximum(2 * go.live * self.limit_bytes, 4 * MEBIBYTE)
        phase = self.rng.random(len(life))
        return {
            GOROUTINES: np.round(go.goroutines),
            HEAP_INUSE: np.round(goal * (0.52 + 0.46 * phase) / 8192) * 8192,
            NEXT_GC: np.round(goal * (1 + self.rng.normal(0, 0.01, len(goal)))),
        }

    def _counter(self, load: Values, life: NDArray[np.int64]) -> Values:
        mean = self.between(2, 400, log=True) * self.step
        total = np.cumsum(self.rng.poisson(mean * load))
        for number in range(1, life.max() + 1):
            inside = life >= number
            if inside.any():
                total[inside] -= total[inside][0]
        return total.astype(float)

    def _lost(self, missing: float | None) -> NDArray[np.bool_]:
        """Which samples (n,) were never scraped: a few at random, now and then a hole; 0 is none."""
        if missing == 0:
            return np.zeros(len(self.hour), bool)
        share = missing if missing is not None else (self.between(0.002, 0.04) if self.chance(0.25) else 0.0)
        lost = self.rng.random(len(self.hour)) < share
        for _ in range(self.rng.poisson(2 if missing else 0.3)):
            begin = self.between(0, self.hours)
            lost |= (self.hour >= begin) & (self.hour < begin + self.between(0.1, 1.2))
        return lost


def ar1(shocks: Values, phi: float) -> Values:
    """Run shocks (n,) through x[i] = phi x[i-1] + shocks[i], starting from the stationary distribution."""
    first = shocks[:1] / np.sqrt(max(1 - phi**2, 1e-6))
    return lfilter([1.0], [1.0, -phi], np.r_[first, shocks[1:]])


Shape = Callable[[Values], Values]
