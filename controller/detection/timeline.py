"""
One axis of time for recent and older memory.

Recent blocks are narrow, older ones wide; both stand in one matrix whose columns know their own edges, so
that every later question ("the lowest floor between two moments") is asked in one way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Seconds, Signal

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


class RangeExtremes:
    """
    Smallest (or largest) value of any range of columns, in constant time per question.

    A sparse table: level k holds the extreme of 2**k columns (Bender and Farach-Colton, "The LCA problem
    revisited", 2000). Unmeasured columns (NaN) never win.
    """

    def __init__(self, matrix: Matrix, *, largest: bool = False) -> None:
        self._sign = np.float32(-1.0 if largest else 1.0)
        count = matrix.shape[1]
        table = np.empty((max(count.bit_length(), 1), len(matrix), count), dtype=np.float32)
        np.multiply(matrix, self._sign, out=table[0])
        np.copyto(table[0], np.float32(np.inf), where=np.isnan(table[0]))
        for level in range(1, len(table)):
            width, shorter, longer = 1 << (level - 1), table[level - 1], table[level]
            np.minimum(shorter[:, :-width], shorter[:, width:], out=longer[:, :-width])
            longer[:, -width:] = shorter[:, -width:]
        self._table = table

    def between(self, rows: Indices, first: Indices, stop: Indices) -> Floats:
        """Extreme of columns `first` to `stop - 1` of each row; NaN where none is known. Broadcasts."""
        width = stop - first
        level = np.frexp(np.maximum(width, 1))[1].astype(np.intp) - 1
        last = np.maximum(stop - (1 << level), 0)
        _, height, columns = self._table.shape
        begin = np.minimum(first, columns - 1)
        # One flat place instead of three indices: numpy looks it up in half the time.
        table, row = self._table.reshape(-1), (level * height + rows) * columns
        found = np.minimum(table.take(row + begin), table.take(row + last))
        found = np.where((width > 0) & np.isfinite(found), self._sign * found, np.nan)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """
    Signals of `keys` over columns of unequal width, oldest first.

    `starts` and `stops` have shape (columns,): seconds relative to `end`, never positive.
    """

    keys: tuple[ContainerKey, ...]
    end: float
    starts: Seconds
    stops: Seconds
    block_seconds: float
    signals: dict[Signal, Matrix]

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.starts)

    def signal(self, signal: Signal) -> Matrix:
        """The matrix of `signal`, shape (containers, columns); all NaN where nobody measures it."""
        found = self.signals.get(signal)
        if found is not None:
            return found
        return np.full((len(self.keys), self.columns), np.nan, dtype=np.float32)


def places(keys: tuple[ContainerKey, ...], history: BlockMatrix | None) -> Indices:
    """Row of each key in `history`; -1 where it is not there."""
    if history is None:
        return np.full(len(keys), -1, dtype=np.intp)
    if history.keys == keys:
        return np.arange(len(keys), dtype=np.intp)
    place = {key: row for row, key in enumerate(history.keys)}
    return np.array([place.get(key, -1) for key in keys], dtype=np.intp)


def join(recent: BlockMatrix, history: BlockMatrix | None, history_rows: Indices, rows: Indices) -> Timeline:
    """
    The chosen rows of `recent`, with what `history` knows of the same containers before that.

    `history_rows` is the answer of `places` for all keys.

    Columns of `history` that reach into the time of `recent` are left out. A start time is told relative to
    the end of its own matrix, so that of `history` is moved.
    """
    keys = tuple(recent.keys[row] for row in rows)
    count = max(recent.blocks, 1)
    stops = recent.block_seconds * (np.arange(count) - (count - 1.0))
    starts = stops - recent.block_seconds
    signals = {signal: matrix[rows] for signal, matrix in recent.signals.items()}
    if not recent.blocks:
        nothing = np.full((len(keys), 1), np.nan, dtype=np.float32)
        signals = dict.fromkeys(signals, nothing)
    if history is not None and history.blocks:
        shift = history.end - recent.end
        older_stops = history.block_seconds * (np.arange(history.blocks) - (history.blocks - 1.0)) + shift
        kept = int(np.searchsorted(older_stops, starts[0] + 1e-6, side="right"))
        if kept:
            signals = _with_older(signals, history_rows[rows], history, kept, shift)
            starts = np.concatenate([older_stops[:kept] - history.block_seconds, starts])
            stops = np.concatenate([older_stops[:kept], stops])
    return Timeline(
        keys=keys,
        end=recent.end,
        starts=starts.astype(np.float64),
        stops=stops.astype(np.float64),
        block_seconds=recent.block_seconds,
        signals=signals,
    )


def _with_older(
    signals: dict[Signal, Matrix],
    rows: Indices,
    history: BlockMatrix,
    kept: int,
    shift: float,
) -> dict[Signal, Matrix]:
    known = rows >= 0
    joined: dict[Signal, Matrix] = {}
    for signal, matrix in signals.items():
        older = np.full((len(rows), kept), np.nan, dtype=np.float32)
        if signal in history.signals:
            older[known] = history.signals[signal][rows[known], :kept]
            if signal is Signal.START_TIME:
                older += np.float32(shift)
        joined[signal] = np.concatenate([older, matrix], axis=1)
    return joined
