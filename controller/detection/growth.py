"""
The shape of growth over several look-backs: is it straight, does it go on, was it ever given back?

One question per number, all of them for many containers at once. The gates on these numbers stand in
`controller.detection.sensitivity`.
"""

from dataclasses import dataclass, fields

import numpy as np

from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes, Timeline

LATE_SHARE = 0.4
"""The newest share of an episode whose own slope says whether growth goes on."""

OUTSTANDING = 2.0
"""How many usual steps beside the growth a dip must be deep: those of a random walk hardly ever are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """
    Numbers of one look-back per row; every array has shape (rows,).

    `gain` is the fitted growth over the episode; `late` the slope of its newest part over the whole slope;
    `step` the largest single rise and `fall` the largest fall below an earlier floor, as shares of the gain;
    `walk` the growth in standard errors of a random walk with the same increments.
    """

    span: Floats
    slope: Floats
    gain: Floats
    straightness: Floats
    late: Floats
    late_slope: Floats
    step: Floats
    fall: Floats
    walk: Floats
    first: Floats
    newest: Floats
    coverage: Floats

    def only(self, kept: Flags) -> "Shapes":
        """The same for the chosen rows."""
        return Shapes(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})


def block_floors(
    timeline: Timeline, floors: RangeExtremes, rows: Indices, spans: Floats, blocks: int
) -> Floats:
    """
    The lowest floor in each of `blocks` equal parts of the last `spans` seconds; shape (rows, blocks).

    Works for any extreme: pass tops to get tops.
    """
    return window_floors(timeline, floors, rows, -spans, np.zeros(len(spans)), blocks)


def window_floors(
    timeline: Timeline, floors: RangeExtremes, rows: Indices, begins: Floats, ends: Floats, blocks: int
) -> Floats:
    """The same for any stretch of time from `begins` to `ends`, seconds relative to the timeline's end."""
    columns = block_columns(timeline, begins, ends, blocks)
    return floors.between(rows[:, None], columns[:, :-1], columns[:, 1:])


def block_columns(timeline: Timeline, begins: Floats, ends: Floats, blocks: int) -> Indices:
    """First columns of `blocks` equal parts of a stretch, and the stop; shape (rows, blocks + 1)."""
    bounds = begins[:, None] + (ends - begins)[:, None] * np.linspace(0.0, 1.0, blocks + 1)
    found = np.searchsorted(timeline.starts, bounds.ravel() - 1e-3)
    return np.asarray(found.reshape(bounds.shape).astype(np.intp))


def fill_gaps(values: Floats) -> Floats:
    """Bridges unmeasured blocks of each row linearly, and repeats the outermost measured ones."""
    count = values.shape[1]
    known = ~np.isnan(values)
    if known.all():
        return values
    steps = np.arange(count)
    before = np.maximum.accumulate(np.where(known, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, steps, count)[:, ::-1], axis=1)[:, ::-1]
    left = np.where(before < 0, np.minimum(after, count - 1), before)
    right = np.where(after >= count, np.maximum(before, 0), after)
    low = np.take_along_axis(values, left, axis=1)
    high = np.take_along_axis(values, right, axis=1)
    share = (steps - left) / np.maximum(right - left, 1)
    return np.asarray(low + (high - low) * np.clip(share, 0.0, 1.0))


def without_lone_dip(values: Floats) -> Floats:
    """
    `values` (rows, blocks) without the deepest block of each row after which memory is back where it was.

    A collection that is asked for, as with a heap profile, lowers memory far for a moment; a tooth or a life
    that ended begins again from below, and what falls below the beginning gave all of it back.
    """
    before, dips, after = values[:, :-2], values[:, 1:-1], values[:, 2:]
    with np.errstate(invalid="ignore"):
        lone = (dips < before) & (after >= before) & (dips >= values[:, :1])
    rows = np.flatnonzero(lone.any(axis=1))
    depths = np.where(lone[rows], before[rows] - dips[rows], 0.0)
    rises = np.diff(fill_gaps(values[rows]), axis=1)
    count = rises.shape[1]
    # Sorted by hand: numpy's median and quantile take four times as long over rows this short.
    beside = np.abs(rises - np.sort(rises, axis=1)[:, count // 2, None])
    # Two of the rises are the dip's own; what alternates has half of them at nothing.
    usual = np.sort(beside, axis=1)[:, (count - 1) * 2 // 3]
    dipped = depths.max(axis=1) > OUTSTANDING * usual
    levelled = values.copy()
    levelled[rows[dipped], depths[dipped].argmax(axis=1) + 1] = np.nan
    return levelled


def measure(values: Floats, spans: Floats) -> Shapes:
    """The shape of `values` (rows, blocks), each row spread evenly over its `spans` seconds (rows,)."""
    coverage = np.mean(~np.isnan(values), axis=1)
    y = fill_gaps(values)
    count = y.shape[1]
    u = np.arange(count) - (count - 1) / 2
    centred = y - y.mean(axis=1, keepdims=True)
    slope = centred @ u / (u @ u)
    gain = slope * (count - 1)
    residuals = centred - slope[:, None] * u
    total = np.einsum("ij,ij->i", centred, centred)
    newest = max(3, round(LATE_SHARE * count))
    v = np.arange(newest) - (newest - 1) / 2
    late_slope = y[:, -newest:] @ v / (v @ v)
    rises = np.diff(y, axis=1)
    # The spread around the mean rise: a leak's own growth must not count as roughness.
    roughness = rises.std(axis=1)
    doubles = (y[:, 2:] - y[:, :-2]).std(axis=1) / np.sqrt(2)
    spread = np.minimum(roughness, 1.2 * doubles) * np.sqrt(count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Shapes(
            span=spans,
            slope=slope * count / spans,
            gain=gain,
            straightness=1 - np.einsum("ij,ij->i", residuals, residuals) / total,
            late=late_slope / slope,
            late_slope=late_slope * count / spans,
            step=rises.max(axis=1) / gain,
            fall=(np.maximum.accumulate(y, axis=1) - y).max(axis=1) / gain,
            walk=(y[:, -1] - y[:, 0]) / np.maximum(spread, 1e-9 * np.abs(y[:, 0]) + 1e-9),
            first=y[:, 0],
            newest=y[:, -1],
            coverage=coverage,
        )
