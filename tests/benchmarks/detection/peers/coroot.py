"""Coroot's memory growth rule as of its rework of 2026-04-22 (PR #872), after a description of it.

In the last hours cut the RSS where it falls below half, take the longest run (10 points, a third of the
window), fit a line; the last quarter must still rise at 0.3 of it; the growth must be 5 % of the limit
(50 MiB without one) and 10 % of the fitted start in an hour, for 15 minutes.
"""

import numpy as np

from tests.benchmarks.detection.detector import memory
from tests.benchmarks.detection.peers.moving_line import held, latest
from tests.benchmarks.detection.recording import Recording, Values

WINDOW_SECONDS = 6 * 3600.0
MEBIBYTE = 2.0**20


def says_leaking(recording: Recording, now: Values) -> np.ndarray:
    time, values = memory(recording)
    step = float(np.median(np.diff(time))) if len(time) > 1 else 60.0
    limit = latest(recording.time, recording.limit, now)
    warns = np.zeros(len(now), bool)
    for i, moment in enumerate(now):
        low, high = np.searchsorted(time, [moment - WINDOW_SECONDS, moment], side="right")
        warns[i] = _grows(time[low:high], values[low:high], limit[i], step)
    return held(warns, 2)


def _grows(time: Values, values: Values, limit: float, step: float) -> bool:
    expected = WINDOW_SECONDS / step
    if len(time) < 0.8 * expected:
        return False
    cuts = np.r_[0, np.flatnonzero(values[1:] < 0.5 * values[:-1]) + 1, len(values)]
    longest = int(np.argmax(np.diff(cuts)))
    t, x = time[cuts[longest] : cuts[longest + 1]], values[cuts[longest] : cuts[longest + 1]]
    if len(t) < max(10, expected / 3):
        return False
    slope, start = _line(t, x)
    tail = max(5, int(900 / step), len(t) // 4)
    if slope <= 0 or _line(t[-tail:], x[-tail:])[0] < 0.3 * slope:
        return False
    hourly = slope * 3600
    least = 0.05 * limit if np.isfinite(limit) else 50 * MEBIBYTE
    return bool(hourly >= least and hourly > 0.10 * start)


def _line(t: Values, x: Values) -> tuple[float, float]:
    """Slope and value at the first sample of the least-squares line."""
    centred = t - t.mean()
    slope = float(centred @ (x - x.mean()) / max(float(centred @ centred), 1e-9))
    return slope, float(x.mean() - slope * (t.mean() - t[0]))
