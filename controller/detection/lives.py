"""
Earlier lives: what a container, or a replica of the same image, did before its present run.

A life is the time between two starts. Lives speak twice: one that levelled off at this height takes the
alarm away, and many that each grew until a restart gave the memory back raise it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from controller.detection.growth import measure, window_floors
from controller.detection.runs import Runs
from controller.detection.sensitivity import Caution
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes, Timeline

BLOCKS = 14

SLOWS, DRIFT = 0.5, 0.05
"""A life goes on that keeps more than this share of its own pace, and adds this share of its height."""

OUTLIVED = 1.25
"""A life so many times as long as another tells what that one would have done."""

AS_HIGH = 0.9
"""The share of the present height at which another life stood about as high."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lives:
    """
    Every life that was long enough to show a shape. Arrays have one entry per life.

    `row` is the container, `group` those with which it shares an image; `begin` and `end` are seconds
    relative to the timeline's end, `begin` after warm-up.
    """

    row: Indices
    group: Indices
    born: Floats
    """When it really started, which may be before anything was seen of it."""
    begin: Floats
    end: Floats
    finished: Flags
    floors: Floats
    """Shape (lives, BLOCKS)."""
    group_of_row: Indices
    """Shape (containers,)."""

    @property
    def age(self) -> Floats:
        """Seconds each life had really lasted when it was last seen."""
        return self.end - self.born

    @property
    def length(self) -> Floats:
        """Seconds each life lasted, after warm-up."""
        return self.end - self.begin


def find_lives(
    timeline: Timeline,
    runs: Runs,
    floors: RangeExtremes,
    groups: Sequence[str | None],
    caution: Caution,
) -> Lives:
    """All lives of all containers that lasted at least a few blocks."""
    group_of_row = group_numbers(groups, len(timeline.keys))
    crowded = np.bincount(group_of_row, minlength=len(timeline.keys))[group_of_row] > 1
    cut = np.array([bool(cuts) for cuts in runs.cuts], dtype=np.bool_)
    told = np.flatnonzero((crowded | cut) & np.isfinite(runs.newest))
    bounds = [(row, begin, end) for row in told.tolist() for begin, end in _bounds(runs, row)]
    rows = np.array([row for row, _, _ in bounds], dtype=np.intp)
    begins, ends = np.array([times for _, *times in bounds], dtype=np.float64).reshape(-1, 2).T
    first, last = np.diff(rows, prepend=-1) != 0, np.diff(rows, append=-1) != 0
    started = runs.first_started[rows]
    born = np.where(first & np.isfinite(started), started, begins)
    warm = begins + np.minimum(caution.warm_up, 0.1 * (ends - begins))
    finished = ~last | (runs.newest[rows] < -caution.stale_after)
    kept = ends - warm >= caution.share(1 / 72, 8)
    ends = np.where(last, ends, _end_before(timeline, ends))
    rows, born, warm, ends, finished = rows[kept], born[kept], warm[kept], ends[kept], finished[kept]
    return Lives(
        row=rows,
        group=group_of_row[rows],
        born=born,
        begin=warm,
        end=ends,
        finished=finished,
        floors=window_floors(timeline, floors, rows, warm, ends, BLOCKS),
        group_of_row=group_of_row,
    )


def _end_before(timeline: Timeline, cuts: Floats) -> Floats:
    """The last moment before the block in which the next life began: that block holds memory of both."""
    columns = np.searchsorted(timeline.stops, cuts - 1e-3)
    return timeline.starts[np.minimum(columns, timeline.columns - 1)]


def _bounds(runs: Runs, row: int) -> list[tuple[float, float]]:
    """Begin and end of each life of one container, oldest first."""
    first = float(runs.known_from[row])
    last = float(runs.newest[row])
    marks = [first, *(cut for cut in runs.cuts[row] if first < cut < last), last]
    return list(pairwise(marks))


def group_numbers(groups: Sequence[str | None], count: int) -> Indices:
    """A number per container; alone where it has no group."""
    numbers = np.arange(count, dtype=np.intp)
    seen: dict[str, int] = {}
    for row, group in enumerate(groups):
        if group is not None:
            numbers[row] = seen.setdefault(group, row)
    return numbers


def members_of(wanted: Indices, numbers: Indices) -> tuple[Indices, Indices, Indices]:
    """
    Who has each of the `wanted` group numbers, where `numbers` tells everybody's.

    The answer is an order and, for each of `wanted`, where its members begin and stop in it.
    """
    order = np.argsort(numbers, kind="stable")
    first, stop = (np.searchsorted(numbers[order], wanted, side=side) for side in ("left", "right"))
    return order, first, stop


def levelled_off_before(
    lives: Lives,
    rows: Indices,
    ages: Floats,
    floors: Floats,
    slopes: Floats,
    ceilings: Floats,
) -> Flags:
    """
    Where another life of the group stood as high, lived on and does not grow like this any more.

    `ages` (seconds since the real start), newest `floors` and `slopes` (bytes per second) describe the
    present growth of `rows`; what stood below `ceilings` did no harm there.
    """
    found = np.zeros(len(rows), dtype=np.bool_)
    if not len(lives.row):
        return found
    tops = np.nanmax(np.where(np.isnan(lives.floors), -np.inf, lives.floors), axis=1)
    order, first, stop = members_of(lives.group_of_row[rows], lives.group)
    for index in np.flatnonzero(stop > first):
        mine, age = order[first[index] : stop[index]], ages[index]
        other = (lives.finished[mine] | (lives.row[mine] != rows[index])) & (
            lives.age[mine] >= OUTLIVED * age
        )
        as_high = other & (tops[mine] >= AS_HIGH * floors[index]) & (tops[mine] < ceilings[index])
        found[index] = any(
            _stands(lives, int(life), age, floors[index], slopes[index]) for life in mine[as_high]
        )
    return found


def _stands(lives: Lives, life: int, age: float, height: float, slope: float) -> bool:
    """Whether a life hardly grew after `age`, or stopped about as high on its way from there to its end."""
    floors = lives.floors[life]
    seen_from = max(lives.born[life] + age, lives.begin[life])
    at = int(np.floor((seen_from - lives.begin[life]) / lives.length[life] * BLOCKS))
    at = min(at, BLOCKS - 3)
    # What ended may only have rested, as at night, when it did.
    rest = 0.4 if lives.finished[life] else 0.25
    for begin, least, lowest in ((at, 0.1, -np.inf), ((at + BLOCKS) // 2, rest, AS_HIGH * height)):
        known = begin + np.flatnonzero(~np.isnan(floors[begin:]))
        if len(known) < 2:
            return False
        lasted = (known[-1] - known[0]) * lives.length[life] / BLOCKS
        rose = floors[known].max() - floors[known[0]]
        stood = rose <= 0.3 * slope * lasted and not _goes_on(floors, begin)
        if lasted > least * age and stood and floors[known[-1]] >= lowest:
            return True
    return False


def _goes_on(floors: Floats, begin: int) -> bool:
    """Whether it rose from block `begin` on about as before: a leak that is only slower is no end of one."""
    begin = begin if begin > 1 else (begin + BLOCKS) // 2
    before, after = (np.flatnonzero(~np.isnan(part)) for part in (floors[:begin], floors[begin:]))
    if len(before) < 2 or len(after) < 2:
        return False
    pace = (floors[before[-1]] - floors[before[0]]) / (before[-1] - before[0])
    rose = floors[begin:][after[-1]] - floors[begin:][after[0]]
    return bool(rose > SLOWS * pace * (after[-1] - after[0]) and rose > DRIFT * floors[before[-1]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """What the lives of each container and its group say; shapes (containers,)."""

    leaking: Flags
    suspect: Flags
    slope: Floats
    slowest: Floats
    fastest: Floats
    """Of nine in ten of the lives that grow, between which their usual slope lies."""
    length: Floats
    outlived: Flags
    """The present life has outlived the usual one and does not grow like that: it speaks for itself."""
    doubted: Flags
    """There is such a life in the group."""


def vote(lives: Lives, count: int) -> Votes:
    """
    Whether life after life grows straight until a start gives the memory back.

    Each life is an independent witness: under chance each grows with probability one half, so four that all
    do are one in sixteen, and eight one in 256.
    """
    votes = Votes(
        leaking=np.zeros(count, dtype=np.bool_),
        suspect=np.zeros(count, dtype=np.bool_),
        slope=np.full(count, np.nan),
        slowest=np.full(count, np.nan),
        fastest=np.full(count, np.nan),
        length=np.full(count, np.nan),
        outlived=np.zeros(count, dtype=np.bool_),
        doubted=np.zeros(count, dtype=np.bool_),
    )
    known = np.mean(~np.isnan(lives.floors), axis=1) >= 0.6 if len(lives.row) else np.zeros(0, dtype=np.bool_)
    if not known.any():
        return votes
    chosen = np.flatnonzero(known)
    shapes = measure(lives.floors[chosen], lives.length[chosen])
    relative = shapes.gain / np.maximum(shapes.first, 1.0)
    grows = (
        (shapes.slope > 0)
        & (shapes.straightness > 0.85)
        & (shapes.late >= 0.7)
        & (relative > 0.06)
        & (shapes.step <= 0.5)
    )
    for group in np.unique(lives.group[chosen]):
        members = np.flatnonzero(lives.group[chosen] == group)
        _vote_of_group(lives, chosen, members, grows, relative, shapes.slope, votes)
    return votes


def _vote_of_group(
    lives: Lives,
    chosen: Indices,
    members: Indices,
    grows: Flags,
    relative: Floats,
    slopes: Floats,
    votes: Votes,
) -> None:
    lengths = lives.length[chosen[members]]
    finished = lives.finished[chosen[members]]
    # Replicas that still run rise together on the limb of one day: they are no witnesses of their own.
    if np.sum(finished) < 3:
        return
    usual = float(np.median(lengths[finished]))
    counted = members[finished | (lengths >= 0.6 * usual)]
    if len(counted) < 4:
        return
    growing = counted[grows[counted]]
    present = members[~finished & (lives.age[chosen[members]] >= OUTLIVED * usual) & ~grows[members]]
    votes.outlived[lives.row[chosen[present]]] = True
    reset = _reset_share(lives, chosen[counted], grows[counted])
    share, gain = (
        len(growing) / len(counted),
        float(np.median(np.where(grows[counted], relative[counted], 0))),
    )
    rows = np.flatnonzero(lives.group_of_row == lives.group[chosen[members[0]]])
    votes.doubted[rows] = len(present) > 0
    if share >= 0.6 and len(growing) >= 3:
        votes.suspect[rows] = True
    if share >= 0.8 and reset >= 0.7 and (gain > 0.3 or (len(growing) >= 8 and gain > 0.08)):
        votes.leaking[rows] = True
    if len(growing):
        paces = slopes[growing]
        votes.slope[rows] = float(np.median(paces))
        votes.slowest[rows], votes.fastest[rows] = np.quantile(paces, (0.05, 0.95))
        votes.length[rows] = usual


def _reset_share(lives: Lives, counted: Indices, grows: Flags) -> float:
    """The share of growing lives that began well below where the growing lives ended."""
    if not grows.any():
        return 0.0
    first = lives.floors[counted, 0]
    last = np.nanmax(lives.floors[counted], axis=1)
    if not np.isfinite(first[grows]).any():
        return 0.0
    middle = 0.5 * (np.nanmedian(first[grows]) + np.nanmedian(last[grows]))
    return float(np.mean(first[grows] < middle))
