"""Alert while working set / limit has been at or over 0.65 for fifteen minutes (two looks)."""

import numpy as np

from tests.benchmarks.detection.detector import working_set
from tests.benchmarks.detection.peers.moving_line import held, latest
from tests.benchmarks.detection.recording import Recording, Values

SHARE = 0.65


def says_leaking(recording: Recording, now: Values) -> np.ndarray:
    time, values, limit = working_set(recording)
    return held(latest(time, values / limit, now) >= SHARE, 2)
