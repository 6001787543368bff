"""Growth that could be something bounded for all that was recorded: the honest answer is at most
`Suspect`.
"""

import numpy as np

from tests.benchmarks.detection.case import Case, Family, undecidable
from tests.benchmarks.detection.families.bounded import bounded
from tests.benchmarks.detection.families.leak import leaking
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.recording import (
    ACTIVE_FILE,
    CACHE,
    GOROUTINES,
    HEAP_INUSE,
    LIMIT,
    NEXT_GC,
    RESOURCE_LIMIT,
    RESTARTS,
    RSS,
    START,
)
from tests.benchmarks.detection.scene import HOUR, Scene


def first_limb(scene: Scene) -> Case:
    """A pod born at the trough of its first day, seen only while the day rises."""
    seen = scene.between(6, 13)
    born = scene.hours - seen
    into = np.clip(scene.hour - born, 0, None)
    limb = 0.5 - 0.5 * np.cos(np.pi * into / max(seen, scene.between(11, 14)))
    recording = bounded(scene, limb, starts=[born])
    return undecidable(
        recording, "the rising limb of a day nobody has seen the end of", scene.epoch + born * HOUR
    )


def stops_over_the_line(scene: Scene) -> Case:
    """Straight growth over the threshold that stops by itself at 0.72 to 0.92 of the limit."""
    born = scene.between(0, 0.3) * scene.hours
    takes = scene.between(5, max(6, 0.9 * (scene.hours - born)))
    base, top = scene.between(0.1, 0.4), scene.between(0.72, 0.92)
    level = base + (top - base) * np.clip((scene.hour - born) / takes, 0, 1)
    level *= 1 + scene.noise(scene.between(0.001, 0.008))
    recording = scene.record(np.minimum(level, 0.97), starts=[born])
    return undecidable(recording, "a cap above the threshold looks like none until it is reached")


def without_limit(scene: Scene) -> Case:
    omit = (LIMIT, RESOURCE_LIMIT)
    return leaking(scene, duration=scene.between(0.3, 0.9) * scene.hours, omit=omit)


def within_the_hour(scene: Scene) -> Case:
    """Over the threshold within an hour or two of its start: a warm-up, a batch or a leak."""
    duration = scene.between(0.8, 2) if scene.hostile else scene.between(0.3, 1)
    birth = scene.hours - duration * scene.between(1.3, 3)
    return leaking(scene, duration=duration, birth=birth, survives=False)


def working_set_only(scene: Scene) -> Case:
    """Neither RSS nor cache is recorded: page cache grows just so, and a leak does."""
    omit = (RSS, CACHE, ACTIVE_FILE, GOROUTINES, HEAP_INUSE, NEXT_GC)
    begin = scene.between(0, 0.3) * scene.hours
    top = scene.between(0.72, 0.95) if scene.hostile else scene.between(0.3, 0.65)
    base = scene.between(0.05, 0.25)
    rise = (top - base) * np.clip((scene.hour - begin) / (scene.hours - begin), 0, 1)
    recording = scene.record(np.minimum((base + rise) * (1 + scene.noise(0.004)), 0.98), omit=omit)
    return undecidable(recording, "the recorded series do not show what grows", scene.epoch + begin * HOUR)


def lives_not_told(scene: Scene) -> Case:
    """Teeth of four to fourteen hours without start times: a collector, or a leak that restarts hide."""
    teeth = scene.teeth(scene.between(4, 14), scene.between(0.02, 0.15))
    recording = bounded(scene, teeth, growing=(0.3, 0.7), omit=(START, RESTARTS))
    return undecidable(recording, "a restart and a collection look the same without start times")


def weeks_away(scene: Scene) -> Case:
    """Grows by a little a day; the threshold is weeks away, and data grows just so."""
    daily = scene.between(0.001, 0.006 if not scene.hostile else 0.012)
    base = scene.between(0.45, 0.58) if scene.hostile else scene.between(0.1, 0.4)
    gain = daily * scene.hour / 24
    level = base + gain + scene.between(0.0, 0.08) * scene.load()
    recording = scene.record(level * (1 + scene.texture() * 0.3))
    return undecidable(recording, "never comes near the threshold in the record", scene.epoch)


def walks_over(scene: Scene) -> Case:
    """A random walk without a drift that happens to cross."""
    step = scene.between(0.01, 0.03) * np.sqrt(scene.step / 3600)
    walk = scene.between(0.35, 0.55) + np.cumsum(scene.rng.normal(0, step, len(scene.hour)))
    over = np.flatnonzero(walk > 0.72)
    band = np.clip(np.abs(walk), 0.05, None)
    band = np.where(band > 0.9, 1.8 - band, band)
    case = undecidable(scene.record(np.clip(band, 0.05, 0.9)), "chance, not growth")
    return case if len(over) else leaking(scene, duration=scene.hours / 2)


def began_just_now(scene: Scene) -> Case:
    """Growth that begins inside a life whose first day is not over: a nightly job begins just so."""
    birth = scene.hours - scene.between(8, 16)
    onset = scene.between(3, 7)
    top = scene.between(0.6, 0.9) if scene.hostile else scene.between(0.25, 0.55)
    since = np.clip((scene.hour - birth - onset) / (scene.hours - birth - onset), 0, 1)
    base = top * scene.between(0.3, 0.6)
    recording = scene.record((base + (top - base) * since) * (1 + scene.texture() * 0.3), starts=[birth])
    because = "began inside a life whose usual day was not seen"
    return undecidable(recording, because, scene.epoch + (birth + onset) * HOUR)


def buried_in_season(scene: Scene) -> Case:
    """A gain smaller than the daily swing, seen for hardly more than a day."""
    birth = scene.hours - scene.between(18, 32)
    swing = scene.load()
    top = scene.between(0.62, 0.85) if scene.hostile else scene.between(0.3, 0.58)
    gain = scene.between(0.05, 0.3) * np.clip((scene.hour - birth) / (scene.hours - birth), 0, 1)
    shape = swing + gain
    level = shape / shape[scene.hour >= birth].max()
    part = scene.between(0.3, 0.6)
    recording = scene.record(top * (1 - part + part * level) * (1 + scene.texture() * 0.3), starts=[birth])
    return undecidable(
        recording, "smaller than a swing whose period was not seen out", scene.epoch + birth * HOUR
    )


FAMILIES = tuple(
    Family(
        name=f"undecidable-{draw.__name__.replace('_', '-')}",
        truth=Truth.UNDECIDABLE,
        draw=draw,
        only_hostile=draw in (stops_over_the_line, walks_over),
    )
    for draw in (
        first_limb,
        stops_over_the_line,
        without_limit,
        within_the_hour,
        working_set_only,
        lives_not_told,
        weeks_away,
        walks_over,
        began_just_now,
        buried_in_season,
    )
)
