"""What is scored: anything that says, look after look, what it thinks of containers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.detection.recording import RSS, WORKING_SET, Recording, Values

Key = tuple[str, str, str]

LEAKING = "Leaking"
SUSPECT = "Suspect"
HEALTHY = "Healthy"
REMEDIATE = "Remediate"

STALE_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of verdict or action at one look; `crosses`, `earliest`, `latest` are epoch seconds."""

    at: float
    verdict: str
    growth_class: str | None = None
    crosses: float | None = None
    earliest: float | None = None
    latest: float | None = None
    action: str | None = None


class Detector(Protocol):
    """Judges recordings as if it had been running, one look every `every_seconds` of recorded time.

    `cases_at_once` is how many cases it is given together: more where it works on whole matrices.
    """

    name: str
    every_seconds: float
    cases_at_once: int

    def run(self, recordings: Sequence[Recording]) -> Mapping[Key, tuple[Transition, ...]]:
        """Return each container's transitions in order of time."""
        ...


Says = Callable[[Recording, Values], Sequence[str] | NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerContainer:
    """A detector that looks at one container at a time.

    `says(recording, now)` returns for each look (m,) whether it says `Leaking`, or the verdict itself.
    """

    name: str
    says: Says
    every_seconds: float = 600.0
    cases_at_once: int = 24

    def run(self, recordings: Sequence[Recording]) -> Mapping[Key, tuple[Transition, ...]]:
        return {recording.key: self._transitions(recording) for recording in recordings}

    def _transitions(self, recording: Recording) -> tuple[Transition, ...]:
        now = looks(recording, self.every_seconds)
        if not len(now):
            return ()
        said = [v if isinstance(v, str) else (LEAKING if v else HEALTHY) for v in self.says(recording, now)]
        changed = [i for i in range(len(said)) if i == 0 or said[i] != said[i - 1]]
        return tuple(Transition(at=float(now[i]), verdict=said[i]) for i in changed)


def looks(recording: Recording, every_seconds: float) -> Values:
    """Multiples of `every_seconds` (m,) from a container's first sample to shortly after its last."""
    seen = recording.time[np.isfinite(recording.series[WORKING_SET])]
    if not len(seen):
        return np.zeros(0)
    first = np.ceil(seen[0] / every_seconds) * every_seconds
    return np.arange(first, seen[-1] + min(STALE_SECONDS, every_seconds), every_seconds)


def memory(recording: Recording) -> tuple[Values, Values]:
    """Times and values of what grows: RSS, or the working set where there is no RSS; missing samples
    left out.
    """
    values = recording.series.get(RSS, recording.series[WORKING_SET])
    known = np.isfinite(values)
    return recording.time[known], values[known]


def working_set(recording: Recording) -> tuple[Values, Values, Values]:
    """Times, working set and limit (NaN where unknown); samples without a working set left out."""
    values = recording.series[WORKING_SET]
    known = np.isfinite(values)
    return recording.time[known], values[known], recording.limit[known]
