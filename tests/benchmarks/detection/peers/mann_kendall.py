"""Mann–Kendall at 1 % (one-sided) on the 15-minute means of the last 24 hours, plain and after Hamed and Rao.

Hamed and Rao, "A modified Mann-Kendall trend test for autocorrelated data", J. Hydrology 204 (1998): the
variance of S is multiplied by a factor made of the significant autocorrelations of the ranks of the
detrended series.
"""

from collections.abc import Iterator

import numpy as np

from tests.benchmarks.detection.detector import memory
from tests.benchmarks.detection.recording import Recording, Values

WINDOW_SECONDS = 86400.0
BLOCK_SECONDS = 900.0
BLOCKS = int(WINDOW_SECONDS / BLOCK_SECONDS)
MINIMUM_BLOCKS = 16
Z_ONE_PERCENT = 2.3263
Z_SIGNIFICANT_LAG = 1.96


def plain(recording: Recording, now: Values) -> np.ndarray:
    return np.array([score_of(means, 1.0) > Z_ONE_PERCENT for means in _windows(recording, now)])


def hamed_rao(recording: Recording, now: Values) -> np.ndarray:
    return np.array(
        [score_of(means, variance_factor(means)) > Z_ONE_PERCENT for means in _windows(recording, now)]
    )


def _windows(recording: Recording, now: Values) -> Iterator[Values]:
    """Block means of the window that ends at each look, blocks without samples left out."""
    time, values = memory(recording)
    block = np.floor(time / BLOCK_SECONDS).astype(int)
    names, place = np.unique(block, return_inverse=True)
    means = np.bincount(place, values) / np.bincount(place)
    for moment in now:
        last = int(np.floor(moment / BLOCK_SECONDS))
        yield means[np.searchsorted(names, last - BLOCKS) : np.searchsorted(names, last)]


def score_of(y: Values, factor: float) -> float:
    """Return the normal score of Kendall's S of y (n,), with ties, its variance multiplied by `factor`."""
    n = len(y)
    if n < MINIMUM_BLOCKS:
        return 0.0
    s = np.triu(np.sign(y[None, :] - y[:, None]), 1).sum()
    _, ties = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18 * factor
    return 0.0 if variance <= 0 else float((s - np.sign(s)) / np.sqrt(variance))


def variance_factor(y: Values) -> float:
    """Hamed and Rao's n/n* of y (n,)."""
    n = len(y)
    if n < MINIMUM_BLOCKS:
        return 1.0
    i, j = np.triu_indices(n, 1)
    rest = y - np.median((y[j] - y[i]) / (j - i)) * np.arange(n)
    ranks = np.argsort(np.argsort(rest)).astype(float)
    ranks -= ranks.mean()
    correlation = np.correlate(ranks, ranks, "full")[n:] / (ranks @ ranks)
    lag = np.arange(1, n)
    counted = np.abs(correlation) > Z_SIGNIFICANT_LAG / np.sqrt(n)
    weight = (n - lag) * (n - lag - 1) * (n - lag - 2)
    factor = 1 + 2 / (n * (n - 1) * (n - 2)) * (weight * correlation)[counted].sum()
    return float(max(factor, 0.05))
