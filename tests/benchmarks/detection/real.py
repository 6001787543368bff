"""Real pods: left as they are, given tighter limits, and given a leak.

The pods are healthy (tests/data/README.md). `x + rate * max(0, t - onset)` keeps their real noise; the
rate is such that the threshold is crossed within the record. The rule for *undecidable* is not applied:
the records are too short for it (12 to 20 h), and every injected leak is one to find.
"""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np

from tests.benchmarks.detection.case import Case, Family, crossings, healthy
from tests.benchmarks.detection.labels import THRESHOLD, Label, Truth
from tests.benchmarks.detection.recording import LIMIT, RSS, WORKING_SET, Recording, Values, recordings
from tests.benchmarks.detection.scene import HOUR, Scene

FILE = Path(__file__).parents[2] / "data" / "online-boutique.matrix.json.gz"


@cache
def pods() -> tuple[Recording, ...]:
    """Read the 24 pod-days."""
    with gzip.open(FILE, "rt") as file:
        return recordings(json.load(file))


def _changed(scene: Scene, pod: Recording, limit: float, added: Values) -> Recording:
    series = dict(pod.series)
    series[RSS] = np.minimum(series[RSS] + added, 0.99 * limit)
    series[WORKING_SET] = np.minimum(series[WORKING_SET] + added, 0.99 * limit)
    series[LIMIT] = np.full(len(pod.time), limit)
    return Recording(
        namespace=scene.namespace, pod=pod.pod, container=pod.container, time=pod.time, series=series
    )


def _untouched(scene: Scene) -> Case:
    """A pod with a limit of 1.6 to 4 times its maximum; hostile: 1.15 to 1.6 times."""
    pod = pods()[scene.rng.integers(len(pods()))]
    factor = scene.between(1.15, 1.6) if scene.hostile else scene.between(1.6, 4)
    limit = factor * float(np.nanmax(pod.series[WORKING_SET]))
    return healthy(_changed(scene, pod, limit, np.zeros(len(pod.time))))


def _injected(scene: Scene) -> Case:
    """The same pod with a ramp from the tenth of its record on, over the threshold at 0.6 to 0.97 of it."""
    pod = pods()[scene.rng.integers(len(pods()))]
    limit = scene.between(1.6, 5, log=True) * float(np.nanmax(pod.series[WORKING_SET]))
    hour = (pod.time - pod.time[0]) / HOUR
    onset, crossing = 0.1 * hour[-1], scene.between(0.6, 0.97) * hour[-1]
    level = float(np.nanmedian(pod.series[WORKING_SET]))
    rate = (THRESHOLD * limit - level) / (crossing - onset)
    recording = _changed(scene, pod, limit, rate * np.maximum(hour - onset, 0))
    since = float(pod.time[0] + onset * HOUR)
    crosses, critical = crossings(recording, since)
    label = Label(
        containers=(recording.key,),
        truth=Truth.LEAK if crosses is not None else Truth.UNDECIDABLE,
        because="a ramp was added",
        onset=since,
        crossing=crosses,
        critical=critical,
        deadline=crosses,
    )
    return Case(recordings=(recording,), labels=(label,))


FAMILIES = (
    Family(name="real-untouched", truth=Truth.HEALTHY, draw=_untouched),
    Family(name="real-injected", truth=Truth.LEAK, draw=_injected),
)
