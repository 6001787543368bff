"""
What the other replicas of one template show at the same time.

The rhythm that all of them share is the load's, also where no request rate is told. One replica that grows
above the others is judged without it. A growth that all share is never taken away: it may be the leak.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from controller.detection.growth import fill_gaps, window_floors
from controller.detection.lives import group_numbers, members_of
from controller.detection.load import CLEAR, without_trend
from controller.detection.runs import last_known
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes, Timeline
from controller.metrics.series import Matrix

BLOCKS = 96

FEWEST = 2
"""So many others must be seen over the whole run,"""
SEEN = 0.8
"""which is so much of its blocks."""

ABOVE = 1.15
"""How far above every other a replica must stand, as a ratio,"""
OUTGROWS = 3.0
"""and how many times as much it must have grown."""


def without_shared_rhythm(
    timeline: Timeline,
    floors: Matrix,
    tops: Matrix,
    floor_extremes: RangeExtremes,
    groups: Sequence[str | None],
    run_begins: Floats,
    shortest_run: float,
    gone: Flags,
) -> tuple[Matrix, Matrix]:
    """
    `floors` and `tops` (containers, columns), the rhythm taken from those that stand above their group.

    `floor_extremes` are those of `floors`; what is `gone` is no replica at the same time. Both matrices are
    the given ones where nothing is taken away.
    """
    present = [None if left else group for group, left in zip(groups, gone, strict=True)]
    numbers = group_numbers(present, len(floors))
    rows = np.flatnonzero(_stand_above(floors, numbers) & (run_begins <= -shortest_run))
    adjusted_floors, adjusted_tops = floors, tops
    for members, values in _with_the_others(timeline, floor_extremes, numbers, rows, run_begins):
        seen = np.mean(~np.isnan(values), axis=2) >= SEEN
        effects = _effects(values, seen)
        for place in np.flatnonzero(effects > 0):
            row, others = members[place, 0], members[place, 1:][seen[place, 1:]]
            part = effects[place] * _rhythm_of(floors[others])
            if adjusted_floors is floors:
                adjusted_floors, adjusted_tops = floors.copy(), tops.copy()
            adjusted_floors[row] = np.maximum(floors[row] - part, 0.0)
            adjusted_tops[row] = np.maximum(tops[row] - part, 0.0)
    return adjusted_floors, adjusted_tops


def _with_the_others(
    timeline: Timeline, floor_extremes: RangeExtremes, numbers: Indices, rows: Indices, run_begins: Floats
) -> Iterator[tuple[Indices, Floats]]:
    """
    Each of `rows` with the others of its group, itself first, and their blocks over its present run.

    Groups of one size come together; shapes (groups, size) and (groups, size, BLOCKS).
    """
    order, first, stop = members_of(numbers[rows], numbers)
    for size in np.unique(stop - first):
        chosen = np.flatnonzero(stop - first == size)
        members = order[first[chosen][:, None] + np.arange(size)]
        members = np.take_along_axis(
            members, np.argsort(members != rows[chosen, None], kind="stable"), axis=1
        )
        begins = np.repeat(run_begins[rows[chosen]], size)
        ends = np.zeros(len(begins))
        blocks = window_floors(timeline, floor_extremes, members.ravel(), begins, ends, BLOCKS)
        yield members, blocks.reshape(*members.shape, BLOCKS)


def _stand_above(floors: Matrix, numbers: Indices) -> Flags:
    """The cheap pre-filter: the one of each group of enough that stands well above every other."""
    newest = np.nan_to_num(last_known(floors))
    order = np.lexsort((newest, numbers))
    highest = np.append(numbers[order][1:] != numbers[order][:-1], True)[: len(order)]
    second = np.append(0.0, newest[order][:-1])
    crowd = np.bincount(numbers, minlength=len(numbers))[numbers[order]] > FEWEST
    found = np.zeros(len(floors), dtype=np.bool_)
    found[order] = highest & crowd & (newest[order] >= ABOVE * second)
    return found


def _effects(values: Floats, seen: Flags) -> Floats:
    """
    How strongly the first of each group follows the rhythm of the others; 0 where that is not clear.

    `values` (groups, size, BLOCKS) are the blocks of all, `seen` (groups, size) of whom enough is known.
    """
    effects = np.zeros(len(values))
    able = np.flatnonzero(seen[:, 0] & (np.sum(seen[:, 1:], axis=1) >= FEWEST))
    if not len(able):
        return effects
    values, seen = values[able], seen[able]
    own = fill_gaps(values[:, 0])
    others = fill_gaps(values[:, 1:].reshape(-1, BLOCKS)).reshape(len(own), -1, BLOCKS)
    shared = np.nanmedian(np.where(seen[:, 1:, None], others, np.nan), axis=1)
    moves, rhythm = without_trend(own), without_trend(shared)
    power, common = np.einsum("gb,gb->g", rhythm, rhythm), np.einsum("gb,gb->g", moves, rhythm)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = common / power
        clear = (common > 0) & (common**2 >= CLEAR * power * np.einsum("gb,gb->g", moves, moves))
        clear &= _trend(own - moves) >= OUTGROWS * np.maximum(effect * _trend(shared - rhythm), 0.0)
    effects[able[clear]] = effect[clear]
    return effects


def _rhythm_of(floors: Matrix) -> Floats:
    """What most of `floors` (replicas, columns) did around its usual level; zero where nobody was seen."""
    known = ~np.isnan(floors).all(axis=0)
    load = np.full(floors.shape[1], np.nan)
    load[known] = np.nanmedian(floors[:, known], axis=0)
    return np.asarray(np.nan_to_num(load - np.nanmedian(load)))


def _trend(lines: Floats) -> Floats:
    """The rise of each straight line."""
    return np.asarray(lines[:, -1] - lines[:, 0])
