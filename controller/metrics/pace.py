"""How soon a container's memory has to be looked at again, where every look costs money."""

from datetime import timedelta

import numpy as np

from controller.metrics.series import BlockMatrix, Matrix, Signal

DANGER_RATIO = 0.6
"""Most thresholds are above this share of the limit; beyond it memory is near danger however it grows."""
LOOKS_UNTIL_DANGER = 20
"""It is looked at so often before it could be in danger, were it to grow on at its fastest."""
YOUNG_BLOCKS = 12
"""With fewer blocks nothing is known about how it grows."""
QUICKEST = timedelta(minutes=1)
SELDOM = timedelta(minutes=15)
"""Never longer: half of the age at which the detector calls samples stale (30 min of 48 h)."""
STALE_SHARE = 1 / 96
"""That age as a share of the lookback (`controller.detection.sensitivity`)."""

_WINDOWS = (6, 24, 96)
"""The growth that counts is the fastest over so many blocks."""


def looks(matrix: BlockMatrix, *, quickest: timedelta = QUICKEST) -> Matrix:
    """
    Seconds until the next look at each row, shape (rows,): seldom far from danger, `quickest` near it.

    A row that is young or has no data is near; one without a limit cannot be, so it is looked at per block.
    """
    if not matrix.keys:
        return np.zeros(0, dtype=np.float32)
    floor, top = matrix.signals[Signal.RSS_FLOOR], matrix.signals[Signal.RSS_TOP]
    lookback = matrix.blocks * matrix.block_seconds
    longest = min(SELDOM.total_seconds(), max(matrix.block_seconds, lookback * STALE_SHARE / 2))
    shortest = min(quickest.total_seconds(), longest)
    limit = _newest(matrix.signals[Signal.LIMIT])
    left = DANGER_RATIO * limit - _newest(top)
    speed = _fastest(floor) / matrix.block_seconds
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(left > 0, left / speed / LOOKS_UNTIL_DANGER, shortest)
    wanted = np.where(np.isnan(limit), min(matrix.block_seconds, longest), wanted)
    young = np.isfinite(floor).sum(axis=1) < YOUNG_BLOCKS
    wanted = np.where(young | np.isnan(_newest(top)), shortest, wanted)
    paced: Matrix = np.clip(np.nan_to_num(wanted, nan=shortest), shortest, longest)
    return paced


def _newest(signal: Matrix) -> Matrix:
    """Each row's newest value; NaN where it has none."""
    measured = np.isfinite(signal)
    last = signal.shape[1] - 1 - np.argmax(measured[:, ::-1], axis=1)
    newest: Matrix = np.where(measured.any(axis=1), signal[np.arange(len(signal)), last], np.nan)
    return newest


def _fastest(floor: Matrix) -> Matrix:
    """Each row's fastest growth over one of the windows, in bytes per block; 0 where it does not grow."""
    newest = _newest(floor)
    fastest: Matrix = np.zeros(len(floor), dtype=np.float32)
    for window in _WINDOWS:
        if window < floor.shape[1]:
            before = _newest(floor[:, :-window])
            fastest = np.fmax(fastest, (newest - before) / np.float32(window))
    return fastest
