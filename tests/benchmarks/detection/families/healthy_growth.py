"""Healthy memory that grows for a while, and stops: warm-ups, fills, stairs, ramps, steps, moved limits."""

import numpy as np

from tests.benchmarks.detection.case import Case, Family, healthy
from tests.benchmarks.detection.families.bounded import bounded
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.scene import GoRuntime, Scene


def _born(scene: Scene) -> list[float]:
    return [scene.between(0, 0.3) * scene.hours] if scene.chance(0.5) else [0.0]


def _age(scene: Scene, starts: list[float]) -> np.ndarray:
    return np.nan_to_num(scene.age(starts)[0])


def warm_up(scene: Scene) -> Case:
    starts = _born(scene)
    return healthy(bounded(scene, 1 - np.exp(-_age(scene, starts) / scene.between(0.3, 6)), starts=starts))


def slow_warm_up(scene: Scene) -> Case:
    starts = _born(scene)
    shape = 1 - np.exp(-_age(scene, starts) / scene.between(6, 30))
    return healthy(bounded(scene, shape + scene.between(0, 0.2) * scene.load(), starts=starts))


def fill_to_cap(scene: Scene) -> Case:
    """A cache fills in a straight line to its configured size, then evicts."""
    starts = _born(scene)
    takes = scene.between(2, 40, log=True)
    shape = np.minimum(_age(scene, starts) / takes, 1) + scene.between(0, 0.1) * scene.load()
    return healthy(bounded(scene, shape, starts=starts))


def logistic(scene: Scene) -> Case:
    starts = _born(scene)
    middle, width = scene.between(4, 40), scene.between(1, 8)
    return healthy(bounded(scene, 1 / (1 + np.exp(-(_age(scene, starts) - middle) / width)), starts=starts))


def logarithmic(scene: Scene) -> Case:
    """Fragmentation: ever more slowly, without an end, but never there."""
    starts = _born(scene)
    return healthy(
        bounded(scene, np.log1p(_age(scene, starts) / scene.between(0.05, 2, log=True)), starts=starts)
    )


def stair_to_cap(scene: Scene) -> Case:
    """Arenas or thread stacks, one after another, up to their number."""
    starts = _born(scene)
    rises = np.cumsum(scene.rng.exponential(scene.between(0.4, 5), scene.rng.integers(3, 12)))
    return healthy(bounded(scene, np.searchsorted(rises, _age(scene, starts)).astype(float), starts=starts))


def connection_pool(scene: Scene) -> Case:
    """Connections are opened one by one as concurrency needs them, up to the pool's maximum."""
    starts = _born(scene)
    size = scene.rng.integers(10, 100)
    opened = np.cumsum(scene.rng.exponential(scene.between(2, 30) / (size - np.arange(size))))
    return healthy(bounded(scene, np.searchsorted(opened, _age(scene, starts)).astype(float), starts=starts))


def ballast(scene: Scene) -> Case:
    """Memory is allocated at the start and touched within minutes."""
    starts = _born(scene)
    shape = np.minimum(_age(scene, starts) / scene.between(0.05, 1.5), 1) + 0.03 * scene.load()
    return healthy(bounded(scene, shape, starts=starts, growing=(0.4, 0.9)))


def load_ramp(scene: Scene) -> Case:
    """Customers are moved over during hours or days, then the ramp stops."""
    begin, lasts = scene.between(0, 0.5) * scene.hours, scene.between(4, 48, log=True)
    ramp = np.clip((scene.hour - begin) / lasts, 0, 1)
    load = (0.2 + ramp) * (1 - scene.between(0.1, 0.6) * (1 - scene.load()))
    return healthy(bounded(scene, load, load=load if scene.chance(0.6) else None))


def growing_traffic(scene: Scene) -> Case:
    """Traffic grows by percents a day, and memory with it; the request rate is recorded."""
    load = scene.load() * (1 + scene.between(0.01, 0.08) * scene.hour / 24)
    return healthy(bounded(scene, load, load=load))


def limit_raised(scene: Scene) -> Case:
    """The limit is doubled in place and the runtime grows into it, up to its share."""
    scene.runtime = str(scene.rng.choice(["go", "jvm"]))
    at = scene.between(0.2, 0.8) * scene.hours
    since = np.maximum(scene.hour - at, 0)
    shape = 0.5 + 0.5 * (1 - np.exp(-since / scene.between(0.5, 8)))
    limit = np.where(scene.hour >= at, scene.limit_bytes, scene.limit_bytes / scene.between(1.5, 2))
    return healthy(bounded(scene, shape, growing=(0.45, 0.5), limit=limit))


def limit_lowered(scene: Scene) -> Case:
    """The limit is lowered in place (VPA); memory stays, its share jumps."""
    at = scene.between(0.2, 0.8) * scene.hours
    limit = np.where(scene.hour >= at, scene.limit_bytes, scene.limit_bytes * scene.between(1.3, 3))
    return healthy(bounded(scene, scene.load(), growing=(0.05, 0.3), limit=limit))


def step(scene: Scene) -> Case:
    """A configuration reload raises the level once."""
    at, soft = scene.between(0.1, 0.95) * scene.hours, scene.between(0.05, 2)
    return healthy(
        bounded(scene, 1 / (1 + np.exp(-np.clip((scene.hour - at) / soft, -50, 50))) + 0.1 * scene.load())
    )


def several_steps(scene: Scene) -> Case:
    """Features are switched on one after another."""
    at = np.sort(scene.rng.uniform(0, scene.hours, scene.rng.integers(2, 7)))
    size = scene.rng.exponential(1, len(at))
    return healthy(
        bounded(scene, np.r_[0, np.cumsum(size)][np.searchsorted(at, scene.hour)] + 0.1 * scene.load())
    )


def near_limit(scene: Scene) -> Case:
    """Sized tightly and flat: normal just below the threshold, hostile on either side of it."""
    shape = scene.noise(1, scene.between(0.5, 0.999)) + scene.between(0, 3) * scene.load()
    recording = bounded(scene, shape, growing=(0.01, 0.06))
    return healthy(recording)


def soft_limit_of_go(scene: Scene) -> Case:
    """GOMEMLIMIT pins the RSS; the live heap below it follows the load."""
    scene.runtime = "go"
    starts = _born(scene)
    load = scene.load()
    cap = scene.between(0.60, 0.85) if scene.hostile else scene.between(0.25, 0.58)
    rise = 1 - np.exp(-_age(scene, starts) / scene.between(0.2, 5))
    live = cap * (0.35 + 0.35 * load * rise)
    share = cap * (0.5 + 0.5 * rise) * (1 + 0.2 * scene.noise(0.01))
    go = GoRuntime(live=live, goroutines=scene.between(20, 500) * (1 + load))
    return healthy(scene.record(share, starts=starts, go=go, load=load if scene.chance(0.5) else None))


def releases_after_ramp(scene: Scene) -> Case:
    """Rises for half a day to two days, stands, and comes down again by itself."""
    begin, rise, stand = scene.between(0, 0.4) * scene.hours, scene.between(6, 48), scene.between(2, 20)
    since = scene.hour - begin
    fall = np.exp(-np.maximum(since - rise - stand, 0) / scene.between(0.2, 6))
    return healthy(bounded(scene, np.clip(since / rise, 0, 1) * fall))


FAMILIES = tuple(
    Family(name=f"healthy-{draw.__name__.replace('_', '-')}", truth=Truth.HEALTHY, draw=draw)
    for draw in (
        warm_up,
        slow_warm_up,
        fill_to_cap,
        logistic,
        logarithmic,
        stair_to_cap,
        connection_pool,
        ballast,
        load_ramp,
        growing_traffic,
        limit_raised,
        limit_lowered,
        step,
        several_steps,
        near_limit,
        soft_limit_of_go,
        releases_after_ramp,
    )
)
