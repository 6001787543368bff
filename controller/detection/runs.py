"""
When each container's present run began, and where earlier runs were cut.

A run is cut only where a container really started (a start time or a restart count says so), never at a
fall of memory: a collection and a restart look the same in memory alone.
"""

from dataclasses import dataclass

import numpy as np

from controller.detection.timeline import Flags, Floats, Indices, Timeline
from controller.metrics.series import Matrix, Signal

SAME_START_SECONDS = 2.0
"""Start times closer than this are one start (cAdvisor rounds to the second)."""

LONGEST_RUN_SECONDS = 3.2e9
"""A container does not run for a century: a start before that is an error."""

SEEN_FROM_START_SECONDS = 3 * 3600.0
"""A run of which less than this went by unseen was seen from (nearly) its start on."""

ANEW, KEPT = 0.75, 0.9
"""
A run begins anew where its floor falls at once to this share of all that it held since its start, and stays
below that share of it: less than the process ever needed. A collection leaves what was there to begin with.
"""
ANEW_BLOCKS, SETTLED_BLOCKS, BACK = 3, 12, 0.5
"""
So many blocks must be known on either side of the fall, and in so many after it memory must not be back at
once by this share of what it fell: then it was a dip.
"""

LIMIT_CHANGE = 0.01
"""A limit that moves by more than this share was changed; less is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """
    The present run of each container. All times are seconds relative to the timeline's end.

    Shapes are (containers,): `started` is -inf where no start is known; `begins` is where evidence begins
    (start, first sample or limit change, the latest of them, after warm-up); `first` is the first column
    that lies wholly after `begins`; `newest` is the end of the newest measured block; `limit_changed` is
    -inf where the limit never changed.
    """

    started: Floats
    begins: Floats
    first: Indices
    newest: Floats
    first_started: Floats
    """The oldest start that is known of; -inf where none is."""
    known_from: Floats
    """Begin of the first measured block."""
    anew: Floats
    """When a run that was seen from its start gave back all it had held, at once; -inf where none did."""
    coverage: Floats
    limit: Floats
    limit_changed: Floats
    cuts: tuple[tuple[float, ...], ...]
    """Every known start inside the timeline, oldest first."""

    @property
    def ages(self) -> Floats:
        """Seconds of evidence in the present run."""
        return -self.begins

    @property
    def fresh_ages(self) -> Floats:
        """The same since it last began anew: what it holds was acquired since then."""
        return np.minimum(self.ages, -self.anew)

    @property
    def unseen(self) -> Floats:
        """Seconds that each run had lasted before its evidence begins; 0 where no start is known."""
        return np.where(np.isfinite(self.started), -self.started - self.ages, 0.0)


def last_known(matrix: Matrix) -> Floats:
    """The newest measured value of each row; NaN where there is none."""
    measured = ~np.isnan(matrix)
    if not matrix.shape[1]:
        return np.full(matrix.shape[0], np.nan)
    place = matrix.shape[1] - 1 - np.argmax(measured[:, ::-1], axis=1)
    found = matrix[np.arange(matrix.shape[0]), place].astype(np.float64)
    found[~measured.any(axis=1)] = np.nan
    return np.asarray(found)


def _first_known(matrix: Matrix) -> Floats:
    measured = ~np.isnan(matrix)
    found = matrix[np.arange(len(matrix)), np.argmax(measured, axis=1)].astype(np.float64)
    found[~measured.any(axis=1)] = -np.inf
    return np.asarray(found)


def changes(matrix: Matrix, tolerance: Floats) -> Flags:
    """
    Where a row's value differs from its last measured one by more than `tolerance` (one per row).

    Shape like `matrix`; the first measured column is no change.
    """
    moved = np.zeros(matrix.shape, dtype=np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        ranges = np.fmax.reduce(matrix, axis=1) - np.fmin.reduce(matrix, axis=1)
    # Hardly any row ever moves, and walking over the gaps is dear.
    rows = np.flatnonzero(ranges > tolerance)
    walked = matrix[rows]
    measured = ~np.isnan(walked)
    place = np.where(measured, np.arange(matrix.shape[1]), -1)
    before = np.maximum.accumulate(place, axis=1)
    before = np.concatenate([np.full((len(rows), 1), -1), before[:, :-1]], axis=1)
    previous = np.take_along_axis(walked, np.maximum(before, 0), axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(walked - previous) > tolerance[rows, None]
    moved[rows] = measured & (before >= 0) & far
    return moved


def find_runs(timeline: Timeline, memory: Matrix, warm_up_seconds: float) -> Runs:
    """Cuts every row of `memory` (containers, columns) at its starts and limit changes."""
    started, cuts = _starts(timeline)
    limit, limit_changed = _limits(timeline)
    measured = ~np.isnan(memory)
    any_measured = measured.any(axis=1)
    first_measured = np.where(any_measured, timeline.starts[np.argmax(measured, axis=1)], 0.0)
    newest = np.where(
        any_measured, timeline.stops[timeline.columns - 1 - np.argmax(measured[:, ::-1], axis=1)], -np.inf
    )
    event = np.maximum(started, limit_changed)
    warm_up = np.minimum(warm_up_seconds, -0.1 * np.maximum(event, first_measured))
    begins = np.minimum(np.maximum(first_measured, event + warm_up), 0.0)
    first = np.searchsorted(timeline.starts, begins - 1e-3).astype(np.intp)
    seen_from_start = np.isfinite(started) & (begins - started < SEEN_FROM_START_SECONDS)
    seen = np.arange(timeline.columns) >= first[:, None]
    width = timeline.stops - timeline.starts
    coverage = np.where(
        first < timeline.columns, (measured & seen) @ width / np.maximum(seen @ width, 1e-9), 0.0
    )
    return Runs(
        started=started,
        begins=begins,
        first=first,
        newest=newest,
        first_started=_first_known(timeline.signal(Signal.START_TIME)),
        known_from=first_measured,
        anew=_anew(timeline, memory, first, np.flatnonzero(seen_from_start)),
        coverage=coverage,
        limit=limit,
        limit_changed=limit_changed,
        cuts=cuts,
    )


def _anew(timeline: Timeline, memory: Matrix, first: Indices, rows: Indices) -> Floats:
    """When each of `rows`, whose run begins in column `first`, last began anew; -inf for all others."""
    found = np.full(len(memory), -np.inf)
    rows = rows[first[rows] < timeline.columns]
    # Hardly any ever does: below its very first floor is the least that it takes.
    begin = memory[rows, first[rows]]
    rows = rows[np.isnan(begin) | (np.fmin.reduce(memory[rows], axis=1) <= ANEW * begin)]
    held = np.where(np.arange(timeline.columns) >= first[rows, None], memory[rows], np.float32(np.nan))
    least = np.fmin.accumulate(held, axis=1)[:, :-1]
    # In wide blocks a slow decline is a fall, too.
    fine = timeline.stops - timeline.starts <= 1.01 * timeline.block_seconds
    with np.errstate(invalid="ignore"):
        # Only beside what was measured just before: what sinks slowly takes its own least with it.
        falls = fine[1:] & ~np.isnan(held[:, :-1]) & (held[:, 1:] <= ANEW * least)
    for place in np.flatnonzero(falls.any(axis=1)):
        at = _last_kept(held[place].astype(np.float64), np.flatnonzero(falls[place]) + 1)
        if at is not None:
            found[rows[place]] = timeline.starts[at]
    return found


def _last_kept(held: Floats, falls: Indices) -> int | None:
    """The last of the places of `held` (blocks,) at which it `falls` and stays down; None without one."""
    for at in falls[::-1].tolist():
        before, after = held[:at], held[at : at + SETTLED_BLOCKS]
        lowest = np.fmin.reduce(before)
        known = np.sum(~np.isnan(before)) >= ANEW_BLOCKS and len(after) == SETTLED_BLOCKS
        stays = bool(np.all(after[:ANEW_BLOCKS] <= KEPT * lowest))
        back = np.fmax.reduce(np.diff(after), initial=0.0) >= BACK * (lowest - after[0])
        if known and stays and not back:
            return int(at)
    return None


def _starts(timeline: Timeline) -> tuple[Floats, tuple[tuple[float, ...], ...]]:
    count = len(timeline.keys)
    matrix = timeline.signal(Signal.START_TIME)
    matrix = np.where(matrix > -LONGEST_RUN_SECONDS, matrix, np.float32(np.nan))
    started = last_known(matrix)
    moved = changes(matrix, np.full(count, SAME_START_SECONDS))
    at = matrix
    if Signal.RESTARTS in timeline.signals:
        restarted = changes(timeline.signals[Signal.RESTARTS], np.full(count, 0.5))
        silent = np.isnan(started)
        moved = np.where(silent[:, None], restarted, moved)
        at = np.where(silent[:, None], timeline.stops[None, :].astype(np.float32), matrix)
        newest = timeline.columns - 1 - np.argmax(restarted[:, ::-1], axis=1)
        last = np.where(restarted.any(axis=1), timeline.stops[newest], np.nan)
        started = np.where(silent, last, started)
    cuts: list[tuple[float, ...]] = [()] * count
    for row in np.flatnonzero(moved.any(axis=1)):
        cuts[row] = tuple(sorted({float(value) for value in at[row, moved[row]]}))
    return np.where(np.isnan(started), -np.inf, np.minimum(started, 0.0)), tuple(cuts)


def _limits(timeline: Timeline) -> tuple[Floats, Floats]:
    matrix = timeline.signal(Signal.LIMIT)
    limit = last_known(matrix)
    limit[~(limit > 0)] = np.nan
    moved = changes(matrix, LIMIT_CHANGE * np.nan_to_num(limit, nan=np.inf))
    newest_move = timeline.starts[timeline.columns - 1 - np.argmax(moved[:, ::-1], axis=1)]
    return limit, np.where(moved.any(axis=1), newest_move, -np.inf)
