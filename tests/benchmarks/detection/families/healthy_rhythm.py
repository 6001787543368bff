"""Healthy memory with a rhythm: seasons, teeth, batches, nightly jobs, wander, restarts."""

import numpy as np

from tests.benchmarks.detection.case import Case, Family, healthy
from tests.benchmarks.detection.families.bounded import bounded
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.scene import Scene, Values, ar1


def _told(scene: Scene, load: Values, probability: float = 0.5) -> Values | None:
    return load if scene.chance(probability) else None


def flat(scene: Scene) -> Case:
    return healthy(bounded(scene, np.zeros(len(scene.hour))))


def daily(scene: Scene) -> Case:
    load = scene.load()
    return healthy(bounded(scene, load, load=_told(scene, load)))


def weekly(scene: Scene) -> Case:
    scene = Scene(scene.rng, hostile=scene.hostile, hours=scene.between(96, 240))
    load = scene.load(weekend=scene.between(0.1, 0.5))
    return healthy(bounded(scene, load, load=_told(scene, load)))


def week_ramp(scene: Scene) -> Case:
    """Rises from Monday to Friday, falls at the weekend (reports, tickets, carts)."""
    scene = Scene(scene.rng, hostile=scene.hostile, hours=scene.between(60, 240))
    day = scene.weekday + scene.clock / 24
    ramp = np.where(day < 5, day / 5, np.maximum(1 - (day - 5) / scene.between(0.5, 2), 0))
    load = 0.6 * ramp + scene.between(0.05, 0.4) * scene.load()
    return healthy(bounded(scene, load, load=_told(scene, load)))


def lagging_cache(scene: Scene) -> Case:
    """A cache with a lifetime of hours follows the load with a lag."""
    load, life = scene.load(), scene.between(3, 14)
    share = 1 - np.exp(-scene.step / 3600 / life)
    held = ar1(np.r_[load[:1], share * load[1:]], 1 - share)
    return healthy(bounded(scene, held, load=_told(scene, load), starts=[0.0] if scene.chance(0.4) else None))


def short_teeth(scene: Scene) -> Case:
    teeth = scene.teeth(scene.between(0.3, 2, log=True), scene.between(0.05, 0.4))
    return healthy(bounded(scene, teeth, growing=(0.2, 0.6)))


def long_teeth(scene: Scene) -> Case:
    teeth = scene.teeth(scene.between(4, 14), scene.between(0.03, 0.3))
    return healthy(bounded(scene, teeth, growing=(0.3, 0.7)))


def daily_purge(scene: Scene) -> Case:
    """A cache emptied once a day, at its hour."""
    hour = scene.between(0, 24)
    return healthy(bounded(scene, (scene.clock - hour) % 24 + scene.noise(0.2), growing=(0.2, 0.7)))


def compaction(scene: Scene) -> Case:
    """Segments merge at levels: small teeth often, large ones rarely."""
    period = scene.between(0.5, 2)
    shape = sum(3.0**k * scene.teeth(period * 4.0**k, 0.2) for k in range(3))
    return healthy(bounded(scene, shape))


def wander(scene: Scene) -> Case:
    """Slow mean-reverting wander with a memory of two to twenty hours."""
    phi = np.exp(-scene.step / 3600 / scene.between(2, 20))
    return healthy(bounded(scene, np.clip(scene.noise(1.0, phi), -2.2, 2.2), growing=(0.1, 0.5)))


def random_walk(scene: Scene) -> Case:
    """A random walk that reflects at both ends of its band."""
    step = scene.between(0.03, 0.12) * np.sqrt(scene.step / 3600)
    walk = np.cumsum(scene.rng.normal(0, step, len(scene.hour))) + scene.between(0, 1)
    return healthy(bounded(scene, np.abs((walk + 1) % 2 - 1), growing=(0.1, 0.5)))


def nightly_batch(scene: Scene) -> Case:
    begins, lasts = scene.between(0, 24), scene.between(0.5, 7)
    into = (scene.clock - begins) % 24
    rises = np.where(into < lasts, (into / lasts) ** scene.between(0.3, 1.2), 0.0)
    return healthy(bounded(scene, rises * np.exp(0.1 * scene.noise(1, 0.999)), growing=(0.2, 0.7)))


def backup_released_slowly(scene: Scene) -> Case:
    """A nightly backup's buffers go back over hours."""
    begins, decay = scene.between(0, 24), scene.between(1, 8)
    into = (scene.clock - begins) % 24
    return healthy(bounded(scene, np.where(into < 1, into, np.exp(-(into - 1) / decay)), growing=(0.2, 0.7)))


def batch_worker(scene: Scene) -> Case:
    shape = scene.spikes(scene.between(2, 20), 1.0, scene.between(0.3, 4)) + 0.02
    return healthy(bounded(scene, shape, growing=(0.3, 0.75)))


def outage_backlog(scene: Scene) -> Case:
    """A log shipper buffers while its sink is away, then drains."""
    shape = np.zeros(len(scene.hour))
    for _ in range(scene.rng.integers(1, 5)):
        begin, lasts, drain = scene.between(0, scene.hours), scene.between(1, 7), scene.between(0.2, 4)
        since = scene.hour - begin
        rise = np.clip(since / lasts, 0, 1) * (since >= 0)
        shape = np.maximum(
            shape, np.where(since > lasts, np.exp(-(since - lasts) / drain), rise) * scene.between(0.4, 1)
        )
    return healthy(bounded(scene, shape, growing=(0.2, 0.7)))


def rebalances(scene: Scene) -> Case:
    """A consumer is given more or fewer partitions: its level shifts up and down."""
    count = scene.rng.integers(2, 9)
    at = np.sort(scene.rng.uniform(0, scene.hours, count))
    levels = scene.rng.uniform(0.2, 1, count + 1)
    place = np.searchsorted(at, scene.hour)
    soft = ar1(np.r_[levels[:1], 0.1 * levels[place][1:]], 0.9)
    return healthy(bounded(scene, soft))


def redeployed(scene: Scene) -> Case:
    """Started anew several times, warming up each time."""
    count = scene.rng.integers(2, 12)
    starts = [-1.0, *np.sort(scene.rng.uniform(1, scene.hours - 1, count)).tolist()]
    age, _ = scene.age(starts)
    shape = 1 - np.exp(-age / scene.between(0.2, 4, log=True))
    return healthy(bounded(scene, shape + 0.2 * scene.load(), starts=starts))


def restarted_nightly(scene: Scene) -> Case:
    """Restarted every night by a cron job; follows the load by day."""
    first = scene.between(0, 24)
    starts = [-1.0, *np.arange(first, scene.hours, 24).tolist()]
    load = scene.load()
    return healthy(bounded(scene, load, starts=starts, load=_told(scene, load)))


def killed_once(scene: Scene) -> Case:
    """One request too large kills it; before and after it is flat."""
    at = scene.between(4, scene.hours - 4)
    shape = 0.1 * scene.load()
    near = (scene.hour > at - scene.between(0.2, 0.6)) & (scene.hour < at)
    recording = bounded(scene, shape + near * 1.0, starts=[-5.0, at], growing=(0.3, 0.6), missing=0.0)
    return healthy(recording)


def jvm_committed(scene: Scene) -> Case:
    """The heap is committed step by step up to -Xmx and stays; teeth below it."""
    scene.runtime = "jvm"
    steps = np.sort(scene.rng.exponential(scene.between(1, 8), 7).cumsum())
    shape = np.searchsorted(steps, scene.hour) + 0.8 * scene.teeth(scene.between(0.3, 3), 0.2)
    return healthy(bounded(scene, shape, starts=[0.0]))


def high_watermark(scene: Scene) -> Case:
    """Freed memory is kept: the level is the highest load so far."""
    load = scene.load() * (1 + scene.noise(0.03, 0.999))
    return healthy(bounded(scene, np.maximum.accumulate(load), starts=[-0.1], load=_told(scene, load)))


FAMILIES = tuple(
    Family(name=f"healthy-{draw.__name__.replace('_', '-')}", truth=Truth.HEALTHY, draw=draw)
    for draw in (
        flat,
        daily,
        weekly,
        week_ramp,
        lagging_cache,
        short_teeth,
        long_teeth,
        daily_purge,
        compaction,
        wander,
        random_walk,
        nightly_batch,
        backup_released_slowly,
        batch_worker,
        outage_backlog,
        rebalances,
        redeployed,
        restarted_nightly,
        killed_once,
        jvm_committed,
        high_watermark,
    )
)
