"""A case: the recordings of one workload, or of several that belong together, and the truth about each
unit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from tests.benchmarks.detection.labels import (
    CRITICAL,
    THRESHOLD,
    Growth,
    Label,
    Truth,
    first_crossing,
    undecidable_because,
)
from tests.benchmarks.detection.recording import WORKING_SET, Recording, Values
from tests.benchmarks.detection.scene import HOUR, Scene

ATTEMPTS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Recordings and labels that were drawn together."""

    recordings: tuple[Recording, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A way to draw cases of one kind; `truth` is what its first label must come out as."""

    name: str
    truth: Truth
    draw: Callable[[Scene], Case]
    only_hostile: bool = False

    @property
    def has_hostile_variant(self) -> bool:
        return self.truth is not Truth.LEAK

    def variants(self) -> tuple[bool, ...]:
        """Which of normal (False) and hostile (True) exist."""
        if not self.has_hostile_variant:
            return (False,)
        return (True,) if self.only_hostile else (False, True)

    def case(self, seed: int, *, hostile: bool = False) -> Case:
        """Draw the case of a seed: the first draw whose truth is this family's.

        Raises:
            RuntimeError: no draw of `ATTEMPTS` came out as promised; the family is wrong.

        """
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([seed, crc32(self.name.encode()), int(hostile), attempt])
            case = self.draw(Scene(rng, hostile=hostile))
            if case.labels[0].truth is self.truth:
                return case
        raise RuntimeError(f"family {self.name}: seed {seed} gave no {self.truth} in {ATTEMPTS} draws")


def healthy(*recordings: Recording) -> Case:
    """Label every container by itself as healthy."""
    labels = (
        Label(containers=(r.key,), truth=Truth.HEALTHY, because="bounded by construction") for r in recordings
    )
    return Case(recordings=recordings, labels=tuple(labels))


def joined(*cases: Case) -> Case:
    """Put cases side by side: one workload's replicas, or a workload's old and new pods."""
    return Case(
        recordings=tuple(recording for case in cases for recording in case.recordings),
        labels=tuple(label for case in cases for label in case.labels),
    )


def undecidable(recording: Recording, because: str, onset: float | None = None) -> Case:
    """Label a container whose recorded series fit a bounded process as well as a leak."""
    crossing, critical = crossings(recording)
    label = Label(
        containers=(recording.key,),
        truth=Truth.UNDECIDABLE,
        because=because,
        onset=onset,
        crossing=crossing,
        critical=critical,
        deadline=crossing,
    )
    return Case(recordings=(recording,), labels=(label,))


def futile(recording: Recording, onset_hour: float, epoch: float, classes: tuple[str, ...]) -> Case:
    """Label growth that a restart does not give back."""
    crossing, critical = crossings(recording)
    label = Label(
        containers=(recording.key,),
        truth=Truth.FUTILE,
        because="grows, and a restart does not free it",
        onset=epoch + max(onset_hour, 0.0) * HOUR,
        crossing=crossing,
        critical=critical,
        deadline=crossing,
        classes=classes,
    )
    return Case(recordings=(recording,), labels=(label,))


def grown(
    scene: Scene,
    recording: Recording,
    gain: Values,
    *,
    onset_hour: float,
    birth_hour: float = 0.0,
    classes: tuple[str, ...] = (),
    decidable_from_hour: float = -np.inf,
    **facts: float | bool,
) -> Case:
    """Label unbounded growth by the rule: a leak if it could be told in time, undecidable if not.

    `gain` (n,) is the unbounded part in shares; `facts` are further fields of `Growth`. The crossing is
    the first at or after `decidable_from_hour`, for leaks that cross once per life. What happened before
    the record began was not seen, so an onset or birth before it counts as its beginning.
    """
    onset_hour, birth_hour = max(onset_hour, 0.0), max(birth_hour, 0.0)
    since = scene.epoch + max(onset_hour, decidable_from_hour) * HOUR
    early, _ = crossings(recording)
    crossing, critical = crossings(recording, since)
    if early is not None and early < since and not facts.get("rising_lives"):
        crossing = critical = None
    growth = Growth(
        hour=scene.hour,
        gain=gain,
        onset_hour=onset_hour,
        birth_hour=birth_hour,
        crossing_hour=None if crossing is None else (crossing - scene.epoch) / HOUR,
        **facts,
    )
    because = undecidable_because(growth)
    ends = float(recording.time[-1])
    label = Label(
        containers=(recording.key,),
        truth=Truth.UNDECIDABLE if because else Truth.LEAK,
        because=because or "unbounded, and outgrew or outlived what is bounded",
        onset=scene.epoch + onset_hour * HOUR,
        crossing=crossing,
        critical=critical,
        deadline=crossing if crossing is not None else ends,
        classes=classes,
    )
    return Case(recordings=(recording,), labels=(label,))


def crossings(recording: Recording, since: float = -np.inf) -> tuple[float | None, float | None]:
    """When the working set crosses the threshold, and when critical, at or after `since`."""
    working_set = recording.series[WORKING_SET]
    crossing = first_crossing(recording.time, working_set, recording.limit, THRESHOLD, since)
    if crossing is None:
        return None, None
    return crossing, first_crossing(recording.time, working_set, recording.limit, CRITICAL, crossing)


def family_named(families: Iterable[Family], name: str) -> Family:
    """Find a family.

    Raises:
        ValueError: there is none of that name; says which there are.

    """
    known = {family.name: family for family in families}
    if name not in known:
        raise ValueError(f"family {name!r} is not one of: {', '.join(sorted(known))}")
    return known[name]
