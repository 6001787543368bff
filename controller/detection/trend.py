"""
Slopes that a single odd block cannot move, with intervals that know about autocorrelation.

Theil (1950) and Sen (1968) for the slope and the ranks of its interval; the sample size is corrected for
lag-one autocorrelation of the residuals (Yue and Wang, "The Mann-Kendall test modified by effective sample
size", 2004). That size is itself an estimate, so Student's t at it takes the place of the normal. Measured
over trend-free AR(1) up to 0.95 (96 blocks) the error stays near its nominal rate.
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

    n (1 - rho) / (1 + rho), at least 2 and at most n. A fitted trend makes the lag-one autocorrelation rho of
    residuals too small by (2 + 4 rho) / n (Marriott and Pope, "Bias in the estimation of autocorrelations",
    1954), which is given back.
    """
    count = residuals.shape[1]
    known = np.maximum(np.sum(~np.isnan(residuals), axis=1, keepdims=True), 1)
    centred = residuals - np.nansum(residuals, axis=1, keepdims=True) / known
    power = np.nansum(centred * centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.where(power > 0, np.nansum(centred[:, 1:] * centred[:, :-1], axis=1) / power, 0.0)
    rho = np.clip(rho + (2 + 4 * rho) / count, 0.0, 0.99)
    present = np.sum(~np.isnan(residuals), axis=1)
    return np.asarray(np.clip(present * (1 - rho) / (1 + rho), 2.0, np.maximum(present, 2)))


def _student(z: float, freedom: Floats) -> Floats:
    """
    Student's t with the tail of the normal's `z`, by Wallace's transformation turned round.

    D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", 1959:
    within 3 % from three degrees of freedom on, and too large (more cautious) below.
    """
    normal = z * (8 * freedom + 3) / (8 * freedom + 1)
    return np.asarray(np.sqrt(freedom * np.expm1(normal * normal / freedom)))


def slope_interval(values: Floats, spacing_seconds: Floats, z: float = 2.33) -> Slopes:
    """
    Theil-Sen slope of each row with the interval that holds what lies within `z` standard errors of a normal.

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
    reach = _student(z, np.maximum(effective - 2, 0.5)) * np.sqrt(variance)
    low = rank((known - 1 - reach) / 2)
    high = rank((known - 1 + reach) / 2)
    enough = present >= 3
    return Slopes(
        likely=np.where(enough, likely, np.nan) / spacing_seconds,
        low=np.where(enough, low, np.nan) / spacing_seconds,
        high=np.where(enough, high, np.nan) / spacing_seconds,
        effective_blocks=effective,
    )
