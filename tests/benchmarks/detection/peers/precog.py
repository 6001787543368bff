"""Precog with its max filter (Jindal et al., arXiv 2106.08938), trained on all but the newest day, anew
each look.

Utilisation in percent of the limit, 5-minute medians, then a rolling median of an hour; change points where a
difference's modified z-score is above 3.5, at least 6 h apart. Training records the trends that would
have reached the limit within 7 days and stopped. A trend is told if it lasted 6 h, is straight (R² above
0.8), reaches the limit within 7 days, is steeper or longer than all in training, and if the newest
values top the training's.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import median_filter

from tests.benchmarks.detection.detector import memory
from tests.benchmarks.detection.recording import Recording, Values

BIN_SECONDS = 300.0
BINS_PER_HOUR = 12
TRAINING_IS_OLDER_THAN_BINS = 24 * BINS_PER_HOUR
SHORTEST_BINS = 6 * BINS_PER_HOUR
R_SQUARED = 0.8
HORIZON_BINS = 7 * 24 * BINS_PER_HOUR
Z_CHANGE = 3.5
LOW_PERCENT = 40.0
FULL_PERCENT = 95.0


def says_leaking(recording: Recording, now: Values) -> np.ndarray:
    time, values = memory(recording)
    limit = recording.limit[np.isin(recording.time, time)]
    if not np.isfinite(limit).any():
        return np.zeros(len(now), bool)
    bins = np.floor(time / BIN_SECONDS).astype(int)
    ends = np.r_[np.flatnonzero(np.diff(bins)), len(bins) - 1]
    at = bins[ends]
    used = np.array([np.median(part) for part in np.split(100 * values / limit, ends[:-1] + 1)])
    told = np.zeros(len(now), bool)
    for i, moment in enumerate(now):
        high = np.searchsorted(at, moment // BIN_SECONDS, side="left")
        told[i] = _predicts(used[:high])
    return told


def _predicts(used: Values) -> bool:
    if len(used) < SHORTEST_BINS or used[-1] < LOW_PERCENT:
        return False
    smooth = median_filter(used, BINS_PER_HOUR, mode="nearest")
    training, points = smooth[:-TRAINING_IS_OLDER_THAN_BINS], _change_points(smooth)
    if len(training) and not _tops(used, used[: len(training)]):
        return False
    steepest, longest = _trained(training)
    for point in reversed(points):
        slope, straight, lasts = _trend(smooth[point:])
        if lasts < SHORTEST_BINS or slope <= 0:
            continue
        reaches = (100 - smooth[-1]) / slope <= HORIZON_BINS
        if straight > R_SQUARED and reaches and slope > steepest and lasts > longest:
            return True
    return False


def _change_points(smooth: Values) -> list[int]:
    change = np.abs(np.diff(smooth))
    middle = np.median(change)
    spread = np.median(np.abs(change - middle))
    score = 0.6745 * (change - middle) / max(spread, 1e-6)
    points = [0]
    for at in np.flatnonzero(score > Z_CHANGE) + 1:
        if at - points[-1] >= SHORTEST_BINS:
            points.append(int(at))
    return points


def _trained(training: Values) -> tuple[float, float]:
    """Steepest slope and longest duration of past trends that would have reached the limit and stopped."""
    steepest = longest = 0.0
    if len(training) < SHORTEST_BINS:
        return steepest, longest
    ends = [*_change_points(training), len(training)]
    for begin, end in pairwise(ends):
        slope, straight, lasts = _trend(training[begin:end])
        if slope > 0 and straight > R_SQUARED and (100 - training[end - 1]) / slope <= HORIZON_BINS:
            steepest, longest = max(steepest, slope), max(longest, lasts)
    return steepest, longest


def _trend(part: Values) -> tuple[float, float, int]:
    """Slope in percent per bin, R² and length."""
    if len(part) < 3:
        return 0.0, 0.0, len(part)
    u = np.arange(len(part)) - (len(part) - 1) / 2
    y = part - part.mean()
    slope = (u @ y) / (u @ u)
    return float(slope), float(slope**2 * (u @ u) / max(y @ y, 1e-12)), len(part)


def _tops(used: Values, training: Values) -> bool:
    """The max filter: the ten highest of the newest day against the ten highest of training."""
    newest = np.sort(used[-TRAINING_IS_OLDER_THAN_BINS:])[-10:]
    return bool(np.median(newest) > np.median(np.sort(training)[-10:]) or newest.max() >= FULL_PERCENT)
