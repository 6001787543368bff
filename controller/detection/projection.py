"""When memory reaches the threshold if it goes on as it does, with an interval."""

from dataclasses import dataclass

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.growth import block_floors, fill_gaps
from controller.detection.timeline import Floats, Indices
from controller.detection.trend import slope_interval

BLOCKS = 24

PACE_ERROR, SPREAD_ERROR, BEND_ERROR = 0.12, 0.6, 0.7
"""
What the time left is uncertain by, added in squares: an eighth of itself; most of the time that the growth
takes to cross the spread of the tops around its line; and as its two halves grew at different paces. A
crossing is more often late than early: the later side is `LATER` times as wide. Fitted to what leaks of
tuning seeds did after they were told.
"""
LATER = 1.6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """Slopes in bytes per second and seconds from now to the threshold; shapes (rows,), inf for never."""

    slope: Floats
    low: Floats
    high: Floats
    earliest: Floats
    likely: Floats
    latest: Floats


def project(
    candidates: Candidates, rows: Indices, spans: Floats, paces: Floats, crests: Floats
) -> Projection:
    """Projects each of `rows` from its crest at its pace; both are what the verdict was reached by."""
    timeline, spacing = candidates.timeline, spans / BLOCKS
    floors = block_floors(timeline, candidates.floor_extremes, rows, spans, BLOCKS)
    slopes = slope_interval(floors, spacing, z=1.64)
    tops = fill_gaps(block_floors(timeline, candidates.danger_extremes, rows, spans, BLOCKS))
    around = tops - (paces * spacing)[:, None] * np.arange(BLOCKS)
    spread = np.quantile(around, 0.9, axis=1) - np.quantile(around, 0.1, axis=1) if len(rows) else paces
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(paces > 0, np.maximum(candidates.threshold[rows] - crests, 0.0) / paces, np.inf)
        shares = PACE_ERROR**2 + (BEND_ERROR * _bend(floors, spacing, paces)) ** 2
        error = np.sqrt(shares * left**2 + np.nan_to_num(SPREAD_ERROR * spread / paces) ** 2)
        return Projection(
            slope=slopes.likely,
            low=slopes.low,
            high=slopes.high,
            earliest=np.maximum(left - error, 0.0),
            likely=left,
            latest=left + LATER * error + 1.5 * timeline.block_seconds,
        )


def _bend(floors: Floats, spacing: Floats, paces: Floats) -> Floats:
    """How differently the halves of each row grew: the logarithm of the ratio of their slopes."""
    least = 0.02 * paces
    older, newer = (
        np.fmax(slope_interval(half, spacing).likely, least)
        for half in (floors[:, : BLOCKS // 2], floors[:, BLOCKS // 2 :])
    )
    return np.asarray(np.abs(np.log(newer / older)))
