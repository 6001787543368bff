"""
What growth is measured along: time, or the requests that were served.

A leak per request grows by day and rests at night. Along the time it looks like a stair or the limb of a day;
along the requests it is a straight line, and what follows the load instead of adding up falls back at night.
"""

from typing import Protocol

import numpy as np

from controller.detection.growth import window_floors
from controller.detection.timeline import Floats, Indices, RangeExtremes, Timeline
from controller.metrics.series import Signal


class Clock(Protocol):
    """Cuts stretches of time into blocks that are equally long on it."""

    keeps_time: bool
    """Whether the blocks are equally long in time, so that the rhythm of days shows in them."""

    def floors(
        self, extremes: RangeExtremes, rows: Indices, begins: Floats, ends: Floats, blocks: int
    ) -> Floats:
        """
        The lowest floor in each of `blocks` equal parts; shape (rows, blocks).

        `begins` and `ends` are seconds relative to the timeline's end.
        """
        ...

    def passed(self, rows: Indices, seconds: Floats) -> Floats:
        """How much of it passed in the last `seconds`, in units of its own; shape (rows,)."""
        ...


class WallClock:
    """Time itself."""

    keeps_time = True

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def floors(
        self, extremes: RangeExtremes, rows: Indices, begins: Floats, ends: Floats, blocks: int
    ) -> Floats:
        """Parts that last equally long."""
        return window_floors(self._timeline, extremes, rows, begins, ends, blocks)

    def passed(self, rows: Indices, seconds: Floats) -> Floats:
        """Seconds."""
        return np.broadcast_to(seconds, rows.shape)


class RequestClock:
    """Requests served; only for containers whose request rate is known."""

    keeps_time = False

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        rates = timeline.signal(Signal.REQUEST_RATE).astype(np.float64)
        known = ~np.isnan(rates)
        usual = np.where(known, rates, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        served = np.where(known, rates, usual[:, None]) * (timeline.stops - timeline.starts)
        total = np.concatenate([np.zeros((len(served), 1)), np.cumsum(served, axis=1)], axis=1)
        self._served = total / np.maximum(total[:, -1:], 1e-9)

    def floors(
        self, extremes: RangeExtremes, rows: Indices, begins: Floats, ends: Floats, blocks: int
    ) -> Floats:
        """Parts in which equally many requests were served."""
        first, stop = self._column(begins), self._column(ends)
        before, after = self._served[rows, first], self._served[rows, stop]
        bounds = before[:, None] + (after - before)[:, None] * np.linspace(0.0, 1.0, blocks + 1)
        # One search for all rows: the shares of row n lie between 2n and 2n + 1.
        members, places = np.unique(rows, return_inverse=True)
        shelf = (self._served[members] + 2.0 * np.arange(len(members))[:, None]).ravel()
        found = np.searchsorted(shelf, (bounds + 2.0 * places[:, None]).ravel() - 1e-12)
        columns = found.reshape(bounds.shape) - places[:, None] * self._served.shape[1]
        columns = np.clip(columns, first[:, None], stop[:, None])
        columns[:, 0], columns[:, -1] = first, stop
        return extremes.between(rows[:, None], columns[:, :-1], columns[:, 1:])

    def passed(self, rows: Indices, seconds: Floats) -> Floats:
        """The share of the record's requests that was served."""
        return np.asarray(self._served[rows, -1] - self._served[rows, self._column(-seconds)])

    def _column(self, moments: Floats) -> Indices:
        return np.searchsorted(self._timeline.starts, moments - 1e-3).astype(np.intp)
