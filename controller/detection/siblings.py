"""
What the other replicas of one template show at the same time.

The rhythm that all of them share is the load's, also where no request rate is told. One replica that grows
above the others is judged without it. A growth that all share is never taken away: it may be the leak.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from controller.detection.growth import fill_gaps, window_floors
from controller.detection.lives import group_numbers
from controller.detection.load import CLEAR, without_trend
from controller.detection.runs import last_known
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes, Timeline
from controller.metrics.series import Matrix

BLOCKS = 96

FEWEST = 2
"""So many others must be seen over the whole run."""

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
) -> tuple[Matrix, Matrix]:
    """
    `floors` and `tops` (containers, columns), the rhythm taken from those that stand above their group.

    `floor_extremes` are those of `floors`. Both matrices are the given ones where nothing is taken away.
    """
    numbers = group_numbers(groups, len(floors))
    rows = np.flatnonzero(_stand_above(floors, numbers) & (run_begins <= -shortest_run))
    adjusted_floors, adjusted_tops = floors, tops
    for row, others, values in _beside_the_others(timeline, floor_extremes, numbers, rows, run_begins):
        part = _shared_part(floors, others, values)
        if part is None:
            continue
        if adjusted_floors is floors:
            adjusted_floors, adjusted_tops = floors.copy(), tops.copy()
        adjusted_floors[row] = np.maximum(floors[row] - part, 0.0)
        adjusted_tops[row] = np.maximum(tops[row] - part, 0.0)
    return adjusted_floors, adjusted_tops


def _beside_the_others(
    timeline: Timeline, floor_extremes: RangeExtremes, numbers: Indices, rows: Indices, run_begins: Floats
) -> Iterator[tuple[int, Indices, Floats]]:
    """Each of `rows`, the others of its group, and the blocks of it and of them over its present run."""
    order = np.argsort(numbers, kind="stable")
    first, stop = (np.searchsorted(numbers[order], numbers[rows], side=side) for side in ("left", "right"))
    groups = [order[begin:end] for begin, end in zip(first, stop, strict=True)]
    sizes = stop - first
    members = np.concatenate([*groups, np.zeros(0, dtype=np.intp)])
    begins = np.repeat(run_begins[rows], sizes)
    blocks = window_floors(timeline, floor_extremes, members, begins, np.zeros(len(members)), BLOCKS)
    for row, group, end in zip(rows, groups, np.cumsum(sizes), strict=True):
        itself, values = group == row, blocks[end - len(group) : end]
        yield int(row), group[~itself], np.concatenate([values[itself], values[~itself]])


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


def _shared_part(floors: Matrix, others: Indices, values: Floats) -> Floats | None:
    """
    What of one row's columns is the rhythm of the others, in bytes; None where that is not clear.

    `values` (1 + others, BLOCKS) are the row's blocks and theirs.
    """
    seen = np.mean(~np.isnan(values), axis=1) >= 0.8
    if not seen[0] or np.sum(seen[1:]) < FEWEST:
        return None
    others = others[seen[1:]]
    own, shared = fill_gaps(values[:1]), np.median(fill_gaps(values[1:][seen[1:]]), axis=0, keepdims=True)
    moves, rhythm = without_trend(own)[0], without_trend(shared)[0]
    power, common = float(rhythm @ rhythm), float(moves @ rhythm)
    if common <= 0 or common**2 < CLEAR * power * float(moves @ moves):
        return None
    effect = common / power
    if _trend(own[0] - moves) < OUTGROWS * max(effect * _trend(shared[0] - rhythm), 0.0):
        return None
    known = ~np.isnan(floors[others]).all(axis=0)
    load = np.full(floors.shape[1], np.nan)
    load[known] = np.nanmedian(floors[others][:, known], axis=0)
    return np.asarray(np.nan_to_num(effect * (load - np.nanmedian(load))))


def _trend(line: Floats) -> float:
    """The rise of a straight line."""
    return float(line[-1] - line[0])
