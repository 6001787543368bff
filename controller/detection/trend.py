"""
Slopes that a single odd block cannot move, with intervals that know about autocorrelation.

Theil (1950) and Sen (1968) for the slope and the ranks of its interval; the sample size is corrected for
lag-one autocorrelation of the residuals (Yue and Wang, "The Mann-Kendall test modified by effective sample
size", 2004). Measured over trend-free AR(1) up to 0.95 the error stays near its nominal rate.
"""

from dataclasses import dataclass

import numpy as np

from controller.detection.timeline import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """Slope of each row with its interval, in units per second; shapes (rows,)."""

    likely: Floats
    low: Floats
    high: Floats
    effective_blocks: Floats


def effective_sample_size(residuals: Floats) -> Floats:
    """
    How many independent blocks the rows of `residuals` (rows, blocks) are worth; shape (rows,).

    n (1 - rho) / (1 + rho) with the bias-corrected lag-one autocorrelation, at least 3 and at most n.
    """
    count = residuals.shape[1]
    known = np.maximum(np.sum(~np.isnan(residuals), axis=1, keepdims=True), 1)
    centred = residuals - np.nansum(residuals, axis=1, keepdims=True) / known
    power = np.nansum(centred * centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(power > 0, np.nansum(centred[:, 1:] * centred[:, :-1], axis=1) / power, 0.0)
    rho = np.clip(rho + (1 + 3 * rho) / count, 0.0, 0.97)
    present = np.sum(~np.isnan(residuals), axis=1)
    return np.asarray(np.clip(present * (1 - rho) / (1 + rho), 3.0, np.maximum(present, 3)))


def slope_interval(values: Floats, spacing_seconds: Floats, z: float = 2.33) -> Slopes:
    """
    Theil-Sen slope of each row with the interval at `z` standard errors of Kendall's S.

    `values` has shape (rows, blocks), NaN where nothing was measured; `spacing_seconds` has shape (rows,).
    A row with fewer than three blocks gets NaN.
    """
    count = values.shape[1]
    if not len(values):
        return Slopes(likely=np.zeros(0), low=np.zeros(0), high=np.zeros(0), effective_blocks=np.zeros(0))
    left, right = np.triu_indices(count, 1)
    pairs = (values[:, right] - values[:, left]) / (right - left)
    pairs.sort(axis=1)
    known = np.sum(~np.isnan(pairs), axis=1)
    rows = np.arange(len(values))

    def rank(position: Floats) -> Floats:
        place = np.clip(position, 0, np.maximum(known - 1, 0))
        under = np.floor(place).astype(np.intp)
        over = np.minimum(under + 1, np.maximum(known - 1, 0))
        share = place - under
        return np.asarray(pairs[rows, under] * (1 - share) + pairs[rows, over] * share)

    likely = rank((known - 1) / 2)
    steps = np.arange(count)
    effective = effective_sample_size(values - likely[:, None] * steps)
    present = np.sum(~np.isnan(values), axis=1).astype(np.float64)
    variance = present * (present - 1) * (2 * present + 5) / 18 * present / effective
    reach = z * np.sqrt(variance)
    low = rank((known - 1 - reach) / 2)
    high = rank((known - 1 + reach) / 2)
    enough = present >= 3
    return Slopes(
        likely=np.where(enough, likely, np.nan) / spacing_seconds,
        low=np.where(enough, low, np.nan) / spacing_seconds,
        high=np.where(enough, high, np.nan) / spacing_seconds,
        effective_blocks=effective,
    )
