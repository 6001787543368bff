"""Leaks that one container's own memory shows: straight, fast, slow, bent, toothed, seasonal, late."""

import numpy as np

from tests.benchmarks.detection.case import Case, Family
from tests.benchmarks.detection.families.leak import daily_swing, leaking
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.scene import MEBIBYTE, Scene


def linear(scene: Scene) -> Case:
    return leaking(scene, duration=scene.between(0.25, 0.9) * scene.hours)


def fast(scene: Scene) -> Case:
    duration = scene.between(3.5, 9, log=True)
    birth = scene.hours - duration * scene.between(1.3, 2.5)
    return leaking(scene, duration=duration, birth=birth, base=scene.between(0.08, 0.35))


def slow(scene: Scene) -> Case:
    scene = Scene(scene.rng, hostile=False, hours=scene.between(170, 240))
    return leaking(scene, duration=scene.between(110, 0.95 * scene.hours), birth=-scene.between(0, 20))


def high_base(scene: Scene) -> Case:
    """A large service in a tight limit: little room between what it needs and the threshold."""
    return leaking(scene, duration=scene.between(0.25, 0.9) * scene.hours, base=scene.between(0.42, 0.58))


def toothed(scene: Scene) -> Case:
    """Collector's teeth of a fifth to twice the base over rising floors."""
    period = scene.between(0.3, 6, log=True)
    base = scene.between(0.08, 0.25)
    swing = base * scene.between(0.2, 1.2) * scene.teeth(period, 0.2)
    return leaking(
        scene, duration=scene.between(0.4, 0.95) * scene.hours, base=base, swing=swing, period=period
    )


def seasonal(scene: Scene) -> Case:
    load, swing, told = daily_swing(scene)
    duration = scene.between(0.4, 1.0) * scene.hours
    return leaking(scene, duration=duration, swing=swing, explained=told, load=load if told else None)


def under_load(scene: Scene) -> Case:
    """Grows with each request and not at night."""
    load = scene.load(weekend=scene.between(0.1, 1.0)) ** 1.5
    base = scene.between(0.1, 0.35)
    served = np.cumsum(load) / load.sum()
    gain = (0.7 - base) * served * scene.between(1.1, 1.6)
    told = scene.chance(0.6)
    return leaking(scene, duration=scene.hours, birth=0.0, base=base, gain=gain, load=load if told else None)


def on_weekdays(scene: Scene) -> Case:
    """A job that runs Monday to Friday leaks; Saturday and Sunday are flat."""
    scene = Scene(scene.rng, hostile=False, hours=scene.between(120, 240))
    base = scene.between(0.1, 0.3)
    works = np.cumsum(np.where(scene.weekday < 5, 1.0, 0.03))
    gain = (0.7 - base) * works / works[-1] * scene.between(1.1, 1.5)
    return leaking(scene, duration=scene.hours, birth=0.0, base=base, gain=gain)


def by_batches(scene: Scene) -> Case:
    """Every batch leaves something behind; between batches nothing grows."""
    every = scene.between(0.5, 5, log=True)
    uneven = scene.rng.lognormal(0, 0.5, 2000)
    steps = np.r_[0, np.cumsum(uneven)] / uneven.mean()

    def stair(u: np.ndarray) -> np.ndarray:
        return steps[np.minimum((u * duration / every).astype(int), 1999)] * every / duration

    duration = scene.between(0.3, 0.9) * scene.hours
    spike = scene.spikes(24 / every, scene.between(0.01, 0.08), every / 3)
    return leaking(scene, duration=duration, shape=stair, swing=spike, period=every * 2)


def spiked(scene: Scene) -> Case:
    swing = scene.spikes(scene.between(1, 12), scene.between(0.1, 0.3), scene.between(0.2, 2))
    return leaking(scene, duration=scene.between(0.4, 0.95) * scene.hours, swing=swing, period=24.0)


def square_root(scene: Scene) -> Case:
    power = scene.between(0.5, 0.8)
    return leaking(scene, duration=scene.between(0.3, 0.9) * scene.hours, shape=lambda u: u**power)


def convex(scene: Scene) -> Case:
    """Retries breed retries: the rate grows with what has leaked."""
    bend = scene.between(1, 3)
    return leaking(
        scene,
        duration=scene.between(0.3, 0.9) * scene.hours,
        shape=lambda u: np.expm1(bend * np.minimum(u, 1.6)) / np.expm1(bend),
    )


def two_rates(scene: Scene) -> Case:
    """Slow for most of the time, then several times faster."""
    turn, rate = scene.between(0.4, 0.7), scene.between(0.2, 0.6)
    fast_rate = (1 - rate * turn) / (1 - turn)
    return leaking(
        scene,
        duration=scene.between(0.4, 0.9) * scene.hours,
        shape=lambda u: rate * u + (fast_rate - rate) * np.maximum(u - turn, 0),
    )


def in_bursts(scene: Scene) -> Case:
    """Connections lost one by one at random moments, one to three percent of the limit each."""
    duration = scene.between(0.3, 0.9) * scene.hours
    count = scene.rng.integers(25, 120)
    at = np.sort(scene.rng.uniform(0, 2, 2 * count))
    return leaking(scene, duration=duration, shape=lambda u: np.searchsorted(at, u) / count)


def late(scene: Scene) -> Case:
    onset, before = scene.between(26, max(27, 0.6 * scene.hours)), scene.between(0, 100)
    duration = scene.between(7, max(8, 0.9 * (scene.hours - onset)))
    return leaking(scene, duration=duration, onset=onset + before, birth=-before)


def late_in_season(scene: Scene) -> Case:
    load, swing, told = daily_swing(scene, 0.03, 0.12)
    onset = scene.between(30, max(31, 0.6 * scene.hours))
    duration = scene.between(10, max(11, 0.95 * (scene.hours - onset)))
    return leaking(
        scene,
        duration=duration,
        onset=onset,
        birth=0.0,
        swing=swing,
        explained=told,
        load=load if told else None,
    )


def gappy(scene: Scene) -> Case:
    """A quarter of the samples is missing, and some hours altogether."""
    return leaking(scene, duration=scene.between(0.3, 0.9) * scene.hours, missing=scene.between(0.1, 0.35))


def quantised(scene: Scene) -> Case:
    """Whole mebibytes of a small slow container, as ECS reports them."""
    scene.limit_bytes = float(scene.rng.choice([64, 96, 128, 256])) * MEBIBYTE
    return leaking(scene, duration=scene.between(0.4, 0.9) * scene.hours, quantum=MEBIBYTE)


def behind_shrinking_pool(scene: Scene) -> Case:
    """A pool gives back what the leak takes, until it is empty."""
    lasts = scene.between(0.2, 0.4) * scene.hours
    base = scene.between(0.05, 0.2)
    pool = scene.between(0.1, 0.25) * np.maximum(1 - scene.hour / lasts, 0)
    duration = scene.between(0.6, 0.95) * scene.hours
    return leaking(scene, duration=duration, birth=0.0, base=base, swing=pool, period=lasts)


def with_growing_traffic(scene: Scene) -> Case:
    load = scene.load() * (1 + scene.between(0.005, 0.03) * scene.hour / 24)
    swing = scene.between(0.05, 0.2) * load
    duration = scene.between(0.4, 1.0) * scene.hours
    return leaking(scene, duration=duration, swing=swing, explained=True, load=load)


def keyed_cache(scene: Scene) -> Case:
    """A cache without bound: new keys come with traffic, ever more slowly."""
    load = scene.load()
    base = scene.between(0.08, 0.3)
    served = (np.cumsum(load) / load.sum()) ** scene.between(0.65, 0.9)
    gain = (0.7 - base) * served * scene.between(1.1, 1.5)
    told = scene.chance(0.5)
    return leaking(scene, duration=scene.hours, birth=0.0, base=base, gain=gain, load=load if told else None)


FAMILIES = tuple(
    Family(name=f"leak-{draw.__name__.replace('_', '-')}", truth=Truth.LEAK, draw=draw)
    for draw in (
        linear,
        fast,
        slow,
        high_base,
        toothed,
        seasonal,
        under_load,
        on_weekdays,
        by_batches,
        spiked,
        square_root,
        convex,
        two_rates,
        in_bursts,
        late,
        late_in_season,
        gappy,
        quantised,
        behind_shrinking_pool,
        with_growing_traffic,
        keyed_cache,
    )
)
