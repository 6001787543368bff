"""
How much of a growth the request rate explains.

Memory that follows the load is no leak, however straight it rises while traffic does. The share of memory
that belongs to one request per second is learnt over the whole run, from the rise and fall of the load
around its own trend where there is enough of it; otherwise all of the common trend is credited to the load.
"""

from dataclasses import dataclass

import numpy as np

from controller.detection.growth import block_columns, fill_gaps, window_floors
from controller.detection.sensitivity import DAY
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes, Timeline
from controller.metrics.series import Matrix, Signal

BLOCKS = 48

CLEAR = 0.6
"""Share of the variance around the trend that the load must explain before it is subtracted."""

OWN_VARIATION = 0.3
"""From this share of variance around its own trend on, the load's daily rhythm identifies its effect."""


class RangeMeans:
    """Mean of any range of columns, in constant time per question: prefix sums."""

    def __init__(self, matrix: Floats) -> None:
        known = ~np.isnan(matrix)
        pad = np.zeros((len(matrix), 1))
        self._sums = np.concatenate([pad, np.cumsum(np.where(known, matrix, 0.0), axis=1)], axis=1)
        self._counts = np.concatenate([pad, np.cumsum(known, axis=1)], axis=1)

    def between(self, rows: Indices, first: Indices, stop: Indices) -> Floats:
        """Mean of columns `first` to `stop - 1` of each row; NaN where nothing was measured. Broadcasts."""
        total = self._sums[rows, stop] - self._sums[rows, first]
        count = self._counts[rows, stop] - self._counts[rows, first]
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """The request rate of a timeline's containers; `known` has shape (containers,)."""

    known: Flags
    means: RangeMeans | None

    def without_rhythm(self, timeline: Timeline, memory: Matrix, run_begins: Floats) -> Matrix:
        """
        The part of `memory` (containers, columns) that is not the load's; unchanged where that is unknown.

        Only where the load explains most of how memory moves around its trend, over a whole day at least:
        then its effect per request is known, and what is left is judged instead.
        """
        rows = np.flatnonzero(self.known & (run_begins <= -DAY))
        if self.means is None or not len(rows):
            return memory
        columns = np.arange(timeline.columns)
        load = self.means.between(rows[:, None], columns, columns + 1)
        begins, ends = run_begins[rows], np.zeros(len(rows))
        extremes = RangeExtremes(memory[rows])
        floors = fill_gaps(window_floors(timeline, extremes, np.arange(len(rows)), begins, ends, 2 * BLOCKS))
        rhythm = fill_gaps(_means(self.means, timeline, rows, begins, ends, 2 * BLOCKS))
        own_floors, own_rhythm = without_trend(floors), without_trend(rhythm)
        power = np.einsum("ij,ij->i", own_rhythm, own_rhythm)
        common = np.einsum("ij,ij->i", own_floors, own_rhythm)
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = common / power
            clear = (common > 0) & (
                common**2 >= CLEAR * power * np.einsum("ij,ij->i", own_floors, own_floors)
            )
        if not clear.any():
            return memory
        silent = np.asarray(np.isnan(load).all(axis=1))
        usual = np.nanmedian(np.where(silent[:, None], 0.0, load), axis=1)
        part = np.where(clear, effect, 0.0)[:, None] * (load - usual[:, None])
        adjusted = memory.copy()
        adjusted[rows] -= np.nan_to_num(part).astype(np.float32)
        return np.asarray(np.maximum(adjusted, 0.0), dtype=np.float32)

    def explained_share(
        self,
        timeline: Timeline,
        floors: RangeExtremes,
        rows: Indices,
        run_begins: Floats,
        spans: Floats,
    ) -> Floats:
        """
        The share of each row's growth over its last `spans` seconds that the load explains; shape (rows,).

        Zero where no request rate is known.
        """
        explained = np.zeros(len(rows))
        means = self.means
        if means is None:
            return explained
        chosen = np.flatnonzero(self.known[rows])
        if not len(chosen):
            return explained
        at, begins, ends = rows[chosen], run_begins[chosen], np.zeros(len(chosen))
        memory = fill_gaps(window_floors(timeline, floors, at, begins, ends, BLOCKS))
        load = fill_gaps(_means(means, timeline, at, begins, ends, BLOCKS))
        effect = _effect(memory, load)
        recent = -spans[chosen]
        grown = _rise(window_floors(timeline, floors, at, recent, ends, BLOCKS // 4))
        loaded = _rise(_means(means, timeline, at, recent, ends, BLOCKS // 4))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(grown > 0, effect * loaded / grown, 0.0)
        explained[chosen] = np.nan_to_num(share)
        return explained


def load_of(timeline: Timeline, memory: Matrix) -> Load:
    """The request rate of every container of `timeline`, known where it was while `memory` was."""
    if Signal.REQUEST_RATE not in timeline.signals:
        return Load(known=np.zeros(len(timeline.keys), dtype=np.bool_), means=None)
    rates = timeline.signal(Signal.REQUEST_RATE).astype(np.float64)
    measured = ~np.isnan(memory)
    told = np.sum(measured & ~np.isnan(rates), axis=1)
    return Load(known=np.asarray(told > 0.1 * measured.sum(axis=1)), means=RangeMeans(rates))


def _means(
    means: RangeMeans, timeline: Timeline, rows: Indices, begins: Floats, ends: Floats, blocks: int
) -> Floats:
    columns = block_columns(timeline, begins, ends, blocks)
    return means.between(rows[:, None], columns[:, :-1], columns[:, 1:])


def _effect(memory: Floats, load: Floats) -> Floats:
    """Bytes per request per second, at least zero; shape (rows,)."""
    y = memory - memory.mean(axis=1, keepdims=True)
    q = load - load.mean(axis=1, keepdims=True)
    own_y, own_q = without_trend(y), without_trend(q)
    power, own_power = np.einsum("ij,ij->i", q, q), np.einsum("ij,ij->i", own_q, own_q)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rhythm = np.einsum("ij,ij->i", own_y, own_q) / own_power
        by_trend = np.einsum("ij,ij->i", y, q) / power
        effect = np.where(own_power >= OWN_VARIATION * power, by_rhythm, by_trend)
    return np.asarray(np.nan_to_num(np.maximum(effect, 0.0)))


def without_trend(values: Floats) -> Floats:
    """What is left of each row when its mean and its linear trend are taken away."""
    u = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred - (centred @ u / (u @ u))[:, None] * u)


def _rise(values: Floats) -> Floats:
    """The fitted rise over each row."""
    y = fill_gaps(values)
    count = y.shape[1]
    u = np.arange(count) - (count - 1) / 2
    return np.asarray((y - y.mean(axis=1, keepdims=True)) @ u / (u @ u) * (count - 1))
