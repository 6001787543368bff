"""Healthy workloads of several pods: what one replica alone leaves open, its peers answer."""

from itertools import pairwise

import numpy as np

from tests.benchmarks.detection.case import Case, Family, healthy
from tests.benchmarks.detection.families.bounded import HOSTILE_PEAK, NORMAL_PEAK
from tests.benchmarks.detection.labels import Label, Truth
from tests.benchmarks.detection.scene import Scene, Values


def _peak(scene: Scene) -> float:
    return scene.between(*(HOSTILE_PEAK if scene.hostile else NORMAL_PEAK))


def _scaled(scene: Scene, peak: float, part: float, shape: Values) -> Values:
    """Stretch a shape of at most 1 between its floor and its peak and lay the runtime's texture over it."""
    level = (1 - part + part * shape) * (1 + scene.texture())
    return np.minimum(peak * level, 0.97)


def replicas_in_season(scene: Scene) -> Case:
    load, peak, part, template = scene.load(), _peak(scene), scene.between(0.2, 0.6), scene.word(9)
    return healthy(
        *(
            scene.record(
                _scaled(scene, peak * scene.between(0.93, 1), part, load), pod=scene.pod_name(template)
            )
            for _ in range(scene.rng.integers(3, 6))
        )
    )


def blue_green(scene: Scene) -> Case:
    """The new version needs up to half as much again from its start, and stays there."""
    at, peak = scene.between(0.3, 0.8) * scene.hours, _peak(scene)
    load, old, new = scene.load(), scene.word(9), scene.word(9)
    less = scene.between(0.6, 0.95)
    before = [
        scene.record(_scaled(scene, peak * less, 0.1, load), ends=at, pod=scene.pod_name(old))
        for _ in range(2)
    ]
    warm = scene.between(0.1, 1.5)
    after = []
    for _ in range(2):
        born = at + scene.between(-0.3, 0.1)
        shape = load * (1 - 0.5 * np.exp(-np.maximum(scene.hour - born, 0) / warm))
        after.append(scene.record(_scaled(scene, peak, 0.15, shape), starts=[born], pod=scene.pod_name(new)))
    return healthy(*before, *after)


def autoscaled(scene: Scene) -> Case:
    """Short-lived pods that warm up and then follow the load; judged together."""
    scene = Scene(scene.rng, hostile=scene.hostile, hours=scene.between(36, 60))
    peak, template, load = _peak(scene), scene.word(9), scene.load()
    lives, warm = scene.between(1, 6), scene.between(0.1, 1)
    recordings = []
    for begin in np.sort(scene.rng.uniform(0, scene.hours - lives, scene.rng.integers(10, 22))):
        shape = (0.6 + 0.4 * load) * (1 - np.exp(-np.maximum(scene.hour - begin, 0) / warm))
        end = float(begin) + lives * scene.between(0.6, 1.1)
        share = _scaled(scene, peak, 0.5, shape)
        recordings.append(scene.record(share, starts=[float(begin)], ends=end, pod=scene.pod_name(template)))
    label = Label(
        containers=tuple(r.key for r in recordings),
        truth=Truth.HEALTHY,
        because="every pod warms up and stays",
    )
    return Case(recordings=tuple(recordings), labels=(label,))


def fills_like_its_peers(scene: Scene) -> Case:
    """Replicas of different age fill the same cache: the older have stopped where the younger will."""
    peak, template, takes = _peak(scene), scene.word(9), scene.between(4, 40, log=True)
    recordings = []
    for older in range(scene.rng.integers(3, 6)):
        born = scene.between(0, 0.4) * scene.hours - older * takes * 0.7
        shape = np.clip((scene.hour - born) / takes, 0, 1)
        part = scene.between(0.5, 0.55)
        recordings.append(
            scene.record(_scaled(scene, peak, part, shape), starts=[born], pod=scene.pod_name(template))
        )
    return healthy(*recordings)


def rolled_out_often(scene: Scene) -> Case:
    """Several releases a day; no pod lives long, each warms up."""
    peak, load = _peak(scene), scene.load()
    at = np.r_[
        -2.0, np.sort(scene.rng.uniform(0.5, scene.hours - 2, scene.rng.integers(4, 10))), scene.hours + 1
    ]
    warm, recordings = scene.between(0.2, 3), []
    for born, end in pairwise(at):
        shape = (0.7 + 0.3 * load) * (1 - np.exp(-np.maximum(scene.hour - born, 0) / warm))
        recordings.append(
            scene.record(_scaled(scene, peak, 0.5, shape), starts=[float(born)], ends=float(end) + 0.05)
        )
    return healthy(*recordings)


def uneven_shards(scene: Scene) -> Case:
    """Shards of very different size, each following its own tenants' day."""
    template, peak = scene.word(9), _peak(scene)
    sizes = np.r_[1.0, scene.rng.uniform(0.2, 1.0, scene.rng.integers(2, 5))]
    return healthy(
        *(
            scene.record(
                _scaled(scene, peak * size, scene.between(0.1, 0.5), scene.load()),
                pod=scene.pod_name(template),
            )
            for size in sizes
        )
    )


def traffic_shifted(scene: Scene) -> Case:
    """A zone fails over: half of the replicas take the load of the others for some hours."""
    template, peak, load = scene.word(9), _peak(scene), scene.load()
    begin, lasts = scene.between(0.2, 0.8) * scene.hours, scene.between(2, 20)
    away = np.clip((scene.hour - begin) / 0.5, 0, 1) * np.clip((begin + lasts - scene.hour) / 2 + 1, 0, 1)
    recordings = []
    for number in range(4):
        moved = load * (1 + away * (0.9 if number % 2 else -0.8))
        shape = moved / (load * (1 + 0.9 * away)).max()
        recordings.append(
            scene.record(_scaled(scene, peak, 0.5, shape), load=moved, pod=scene.pod_name(template))
        )
    return healthy(*recordings)


FAMILIES = tuple(
    Family(name=f"healthy-{draw.__name__.replace('_', '-')}", truth=Truth.HEALTHY, draw=draw)
    for draw in (
        replicas_in_season,
        blue_green,
        autoscaled,
        fills_like_its_peers,
        rolled_out_often,
        uneven_shards,
        traffic_shifted,
    )
)
