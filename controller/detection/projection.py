"""When memory reaches the threshold if it goes on as it does, with an interval."""

from dataclasses import dataclass

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import block_floors, fill_gaps, measure
from controller.detection.sensitivity import DAY
from controller.detection.timeline import Flags, Floats, Indices
from controller.detection.trend import effective_sample_size, slope_interval

BLOCKS = 24

CREST_AHEAD_BLOCKS, CREST_AHEAD_SECONDS = 1.5, 450.0
"""How far a crest, made of tops, runs ahead of memory that stays over a line: the lesser of the two."""

PACE_ERROR, SPREAD_ERROR, BEND_ERROR = 0.14, 0.8, 0.55
"""
What the time left is uncertain by, added in squares: a seventh of itself; most of the time that the growth
takes to cross the spread of the tops around its line; and half of how much the paces of its two halves
differ. Fitted to what leaks of tuning seeds did after they were told.
"""
DAYS_ERROR = 0.3
"""The same in place of spread and bend where days are compared: both are the day's rhythm there."""
LATER = 1.1
"""How much more uncertain it is towards later: two in three of those outside an interval came after it."""

LEAST_PACE = 0.6
"""The share of its pace that growth which slowed down keeps at least, on its way to the critical line."""

CURVE_COVERAGE = 0.6
"""The share of the look-back that must be known before it tells a change of pace."""

CURVED, FASTER = 4.0, 1.15
"""
Growth accelerates when its curvature is so many standard errors, and its newest part so many times as steep
as the whole.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """Slopes in bytes per second and seconds from now to the threshold; shapes (rows,), inf for never."""

    slope: Floats
    low: Floats
    high: Floats
    earliest: Floats
    likely: Floats
    latest: Floats
    critical: Floats
    """
    The earliest crossing of the critical line. Where no leak is told (any more), the likely one from the
    newest tops as they were: carried on they mean nothing for growth that may have stopped.
    """


def project(candidates: Candidates, findings: Findings, rows: Indices) -> Projection:
    """Projects each of `rows` from the crest and at the pace that were found."""
    spans, paces, crests = findings.span[rows], findings.slope[rows], findings.crest[rows]
    timeline, spacing = candidates.timeline, spans / BLOCKS
    floors = block_floors(timeline, candidates.floor_extremes, rows, spans, BLOCKS)
    slopes = slope_interval(floors, spacing, z=1.64)
    by_day = findings.by_day[rows]
    slowest, fastest = findings.slowest[rows], findings.fastest[rows]
    own = np.isnan(slowest)
    tops = fill_gaps(block_floors(timeline, candidates.danger_extremes, rows, spans, BLOCKS))
    around = tops - (paces * spacing)[:, None] * np.arange(BLOCKS)
    # A run much younger than the lives it is judged by shows no curve of its own, and need not follow theirs.
    seen = own & (np.mean(~np.isnan(floors), axis=1) >= CURVE_COVERAGE)
    accelerations = np.where(seen, _accelerations(floors, spans), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(seen, _bend(floors, spacing, paces), 0.0)
        around_line, around_curve = (
            np.where(by_day | ~own, 0.0, np.nan_to_num(SPREAD_ERROR * _spread(values) / paces))
            for values in (around, _parabola(around).residuals)
        )

        def until(line: Floats, start: Floats, pace: Floats) -> Floats:
            return _time_to_grow(np.maximum(line - start, 0.0), pace, accelerations, spans)

        left = until(candidates.threshold[rows], crests, paces)
        ahead = min(CREST_AHEAD_BLOCKS * timeline.block_seconds, CREST_AHEAD_SECONDS)
        # Only towards a line that is still to be met, and not where haste is safer.
        left = np.where(by_day | (left <= 0), left, left + ahead)
        differ = np.nan_to_num((fastest - slowest) / 2 / paces)
        error = np.hypot(np.hypot(_relative_error(np.abs(bend), by_day), differ) * left, around_line)
        # What slows down must not seem the nearer to the critical line for that.
        newer = paces * np.where(by_day, 1.0, np.exp(np.clip(bend / 2, np.log(LEAST_PACE), 0.0)))
        # The second highest: one spike is no memory that stays.
        leaks, stands = findings.leaks[rows], np.sort(tops[:, -(BLOCKS // 6) :], axis=1)[:, -2]
        to_critical = until(candidates.critical[rows], np.where(leaks, crests, stands), newer)
        haste = np.hypot(_relative_error(np.maximum(bend, 0.0), by_day) * to_critical, around_curve)
        return Projection(
            slope=np.where(own, slopes.likely, paces),
            low=np.where(own, slopes.low, slowest),
            high=np.where(own, slopes.high, fastest),
            earliest=np.maximum(left - error, 0.0),
            likely=left,
            # The day's crest, by which days are compared, may be a day away.
            latest=left + LATER * error + np.where(by_day, DAY, 0.0),
            critical=np.where(leaks, np.maximum(to_critical - haste, 0.0), to_critical),
        )


def _relative_error(bend: Floats, by_day: Flags) -> Floats:
    return np.asarray(np.hypot(PACE_ERROR, np.where(by_day, DAYS_ERROR, BEND_ERROR * bend)))


def _spread(values: Floats) -> Floats:
    """From the lowest to the highest tenth of each row."""
    if not len(values):
        return np.zeros(0)
    low, high = np.quantile(values, (0.1, 0.9), axis=1)
    return np.asarray(high - low)


def _time_to_grow(gaps: Floats, paces: Floats, accelerations: Floats, spans: Floats) -> Floats:
    """Seconds until each row has grown by its gap in bytes, steadily or ever faster; inf for never."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steady = np.where(paces > 0, gaps / paces, np.inf)
        # The pace is that of the middle of the look-back.
        now = paces + accelerations * spans / 2
        faster = (np.sqrt(now * now + 2 * accelerations * gaps) - now) / accelerations
    return np.asarray(np.where(accelerations > 0, faster, steady))


def _accelerations(floors: Floats, spans: Floats) -> Floats:
    """Bytes per second squared of the parabola through each row; 0 unless it is curved beyond doubt."""
    shapes, parabola = measure(floors, spans), _parabola(fill_gaps(floors))
    worth = effective_sample_size(parabola.residuals) / floors.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = parabola.curvature * np.sqrt(parabola.power * worth) / parabola.residuals.std(axis=1)
        beyond_doubt = (errors >= CURVED) & (shapes.late >= FASTER)
        return np.asarray(np.where(beyond_doubt, 8 * parabola.curvature / spans**2, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parabola:
    """The best parabola through each row of (rows, blocks) at u from -1 to 1."""

    curvature: Floats
    """The coefficient of u squared; shape (rows,)."""
    power: float
    """The sum of squares of the centred u squared: how well the blocks tell a curvature."""
    residuals: Floats
    """What the parabola leaves; shape (rows, blocks)."""


def _parabola(values: Floats) -> _Parabola:
    u = np.linspace(-1.0, 1.0, values.shape[1])
    line, curve = u / np.sqrt(u @ u), u * u - np.mean(u * u)
    residuals = values - values.mean(axis=1, keepdims=True)
    residuals -= (residuals @ line)[:, None] * line
    curvature = residuals @ curve / (curve @ curve)
    residuals -= curvature[:, None] * curve
    return _Parabola(curvature=curvature, power=float(curve @ curve), residuals=residuals)


def _bend(floors: Floats, spacing: Floats, paces: Floats) -> Floats:
    """The logarithm of the newer slope over the older one of two halves; 0 where one is not known."""
    older, newer = (
        np.maximum(slope_interval(half, spacing).likely, 0.02 * paces)
        for half in (floors[:, : BLOCKS // 2], floors[:, BLOCKS // 2 :])
    )
    return np.asarray(np.nan_to_num(np.log(newer / older)))
