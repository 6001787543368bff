"""The project's two research prototypes, asked every hour as their studies did."""

from typing import Protocol

import numpy as np

from tests.benchmarks.detection.detector import memory
from tests.benchmarks.detection.peers import anytime, rivals
from tests.benchmarks.detection.recording import Recording, Values


class _Prototype(Protocol):
    def step(self, t: Values, rss: Values, limit: Values | None, starts: Values, now: float) -> str: ...


def anytime_says(recording: Recording, now: Values) -> list[str]:
    return _verdicts(anytime.Detector(), recording, now)


def rivals_say(recording: Recording, now: Values) -> list[str]:
    return _verdicts(rivals.Detector(), recording, now)


def _verdicts(prototype: _Prototype, recording: Recording, now: Values) -> list[str]:
    time, values = memory(recording)
    limit = recording.limit[np.isin(recording.time, time)]
    knows_limit = bool(np.isfinite(limit).all()) and len(limit) > 0
    starts, said = recording.starts, []
    for moment in now:
        high = int(np.searchsorted(time, moment, side="right"))
        seen = limit[:high] if knows_limit else None
        said.append(prototype.step(time[:high], values[:high], seen, starts[starts <= moment], float(moment)))
    return said
