"""When memory reaches the threshold if it goes on as it does, with an interval."""

from dataclasses import dataclass

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.growth import block_floors
from controller.detection.timeline import Floats, Indices
from controller.detection.trend import slope_interval

BLOCKS = 24

WIDENED = 2.0
"""
How much wider than the slope's own interval the crossing's is: what happens later differs from what was
seen. Chosen by scaling over generated leaks that were told in time (tuning seeds), where about seven in
ten crossings fell inside: wider would cover more and say less.
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


def project(candidates: Candidates, rows: Indices, spans: Floats, crests: Floats) -> Projection:
    """Projects each of `rows` from its crest along the slope of its floors over `spans` seconds."""
    floors = block_floors(candidates.timeline, candidates.floor_extremes, rows, spans, BLOCKS)
    slopes = slope_interval(floors, spans / BLOCKS, z=1.64)
    late = slope_interval(floors[:, BLOCKS // 2 :], spans / BLOCKS, z=1.64)
    left = np.maximum(candidates.threshold[rows] - np.fmax(crests, 0.0), 0.0)
    likely = np.where(late.likely > 0, 0.5 * (slopes.likely + late.likely), slopes.likely)
    low = np.minimum(np.fmin(slopes.low, late.low), 0.85 * likely)
    high = np.maximum(np.fmax(slopes.high, late.high), 1.2 * likely)
    soon, expected, late_end = _time(left, high), _time(left, likely), _time(left, low)
    with np.errstate(invalid="ignore"):
        return Projection(
            slope=slopes.likely,
            low=slopes.low,
            high=slopes.high,
            earliest=np.maximum(expected - WIDENED * (expected - soon), 0.2 * soon),
            likely=expected,
            latest=np.where(np.isfinite(late_end), expected + WIDENED * (late_end - expected), np.inf),
        )


def _time(left: Floats, slope: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(left <= 0, 0.0, np.where(slope > 0, left / slope, np.inf)))
