"""Least-squares lines over many windows of one series at once, from running sums."""

from dataclasses import dataclass

import numpy as np

from tests.benchmarks.detection.recording import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """One line per window (m,): samples in it, slope per second, value at the window's end, R², mean."""

    count: Values
    slope: Values
    end_value: Values
    r_squared: Values


def fit(time: Values, values: Values, begin: Values, end: Values) -> Lines:
    """Fit a line to the samples in each half-open window (begin, end]; NaN where fewer than two
    samples are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _fit(time, values, begin, end)


def _fit(time: Values, values: Values, begin: Values, end: Values) -> Lines:
    if not len(time):
        nothing = np.full(len(end), np.nan)
        return Lines(count=np.zeros(len(end)), slope=nothing, end_value=nothing, r_squared=nothing)
    origin, scale = time[0], max(float(np.abs(values).max()), 1.0)
    t, x = (time - origin) / 3600.0, values / scale
    sums = np.cumsum(np.stack([np.ones_like(t), t, x, t * t, t * x, x * x]), axis=1)
    sums = np.concatenate([np.zeros((6, 1)), sums], axis=1)
    low, high = np.searchsorted(time, begin, side="right"), np.searchsorted(time, end, side="right")
    n, st, sx, stt, stx, sxx = sums[:, high] - sums[:, low]
    ctt, ctx, cxx = stt - st * st / n, stx - st * sx / n, sxx - sx * sx / n
    slope = np.where(n >= 2, ctx / ctt, np.nan)
    at_end = sx / n + slope * ((end - origin) / 3600.0 - st / n)
    r_squared = np.clip(ctx * ctx / (ctt * np.maximum(cxx, 1e-12)), 0, 1)
    return Lines(count=n, slope=slope * scale / 3600.0, end_value=at_end * scale, r_squared=r_squared)


def held(flags: np.ndarray, looks: int) -> np.ndarray:
    """Keep what has been true at `looks` looks in a row: an alert's `for:`."""
    padded = np.concatenate([np.zeros(looks - 1, bool), flags])
    return np.lib.stride_tricks.sliding_window_view(padded, looks).all(axis=1)


def latest(time: Values, values: Values, now: Values) -> Values:
    """Newest value at each look (m,), NaN before the first."""
    place = np.searchsorted(time, now, side="right") - 1
    return (
        np.where(place >= 0, values[np.maximum(place, 0)], np.nan) if len(time) else np.full(len(now), np.nan)
    )
