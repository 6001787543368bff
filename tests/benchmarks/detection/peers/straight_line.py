"""R² and time left, the core of Jindal et al.'s LBR (arXiv 2101.09799) without its search over windows.

A line through what was seen since the start (at most 48 h) with R² above 0.8 that reaches the limit
within 7 days.
"""

import numpy as np

from tests.benchmarks.detection.detector import memory
from tests.benchmarks.detection.peers.moving_line import fit, latest
from tests.benchmarks.detection.recording import Recording, Values

R_SQUARED = 0.8
HORIZON_SECONDS = 7 * 86400.0
WINDOW_SECONDS = 48 * 3600.0
MINIMUM_SECONDS = 3600.0


def says_leaking(recording: Recording, now: Values) -> np.ndarray:
    time, values = memory(recording)
    starts = np.r_[-np.inf, recording.starts]
    started = starts[np.searchsorted(starts, now, side="right") - 1]
    begin = np.maximum(np.maximum(now - WINDOW_SECONDS, started), time[0] - 1)
    lines = fit(time, values, begin, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (latest(recording.time, recording.limit, now) - lines.end_value) / lines.slope
    enough = (now - begin >= MINIMUM_SECONDS) & (lines.count >= 12)
    return enough & (lines.slope > 0) & (lines.r_squared > R_SQUARED) & (left <= HORIZON_SECONDS)
