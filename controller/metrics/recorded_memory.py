"""Whole recordings in blocks, and how they look at any moment of the time they tell of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedMemory:
    """
    Whole recordings of many containers in blocks on one grid.

    Column j ends at `begin + (j + 1) * block_seconds`. Start times are relative to `begin`. `first` and
    `last` hold, per container, the unix seconds of its first and last memory sample.
    """

    keys: tuple[ContainerKey, ...]
    begin: int
    block_seconds: int
    signals: Mapping[Signal, Matrix]
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    @property
    def end(self) -> int:
        """Unix seconds of the end of the last block."""
        columns = next((matrix.shape[1] for matrix in self.signals.values()), 0)
        return self.begin + columns * self.block_seconds

    def until(self, end: int, blocks: int, rows: NDArray[np.intp]) -> BlockMatrix:
        """The `blocks` blocks of `rows` that end at `end`; what lies outside the recording is unmeasured."""
        stop = (end - self.begin) // self.block_seconds
        first = max(stop - blocks, 0)
        whole = len(rows) == len(self.keys)
        signals: dict[Signal, Matrix] = {}
        for signal, matrix in self.signals.items():
            part = _padded(matrix[:, first:stop] if whole else matrix[rows, first:stop], stop - first)
            if signal is Signal.START_TIME:
                part = part - np.float32(end - self.begin)
            signals[signal] = part
        return BlockMatrix(
            keys=self.keys if whole else tuple(self.keys[row] for row in rows),
            end=float(end),
            block_seconds=float(self.block_seconds),
            signals=signals,
        )

    def widened(self, factor: int) -> "RecordedMemory":
        """The same in blocks `factor` times as wide, on the grid of whole wide blocks."""
        width = factor * self.block_seconds
        begin = self.begin // width * width
        before = (self.begin - begin) // self.block_seconds
        columns = (self.end - begin) // width
        signals = {
            signal: _widen(signal, matrix, before, columns, factor, np.float32(self.begin - begin))
            for signal, matrix in self.signals.items()
        }
        return RecordedMemory(
            keys=self.keys,
            begin=begin,
            block_seconds=width,
            signals=signals,
            first=self.first,
            last=self.last,
        )


def _padded(part: Matrix, blocks: int) -> Matrix:
    """Unmeasured where it ends before `blocks`."""
    missing = blocks - part.shape[1]
    return np.pad(part, ((0, 0), (0, missing)), constant_values=np.nan) if missing > 0 else part


def stacked(looks: Sequence[BlockMatrix]) -> BlockMatrix:
    """
    Several looks (at least one) as one matrix, their rows one below the other, aligned at their ends.

    `end` is that of the first; what a shorter look does not hold is unmeasured.
    """
    if len(looks) == 1:
        return looks[0]
    blocks = max(look.blocks for look in looks)
    rows = sum(len(look.keys) for look in looks)
    signals: dict[Signal, Matrix] = {}
    for signal in looks[0].signals:
        matrix = np.full((rows, blocks), np.nan, dtype=np.float32)
        begin = 0
        for look in looks:
            part = look.signals[signal]
            matrix[begin : begin + len(part), blocks - part.shape[1] :] = part
            begin += len(part)
        signals[signal] = matrix
    return BlockMatrix(
        keys=tuple(key for look in looks for key in look.keys),
        end=looks[0].end,
        block_seconds=looks[0].block_seconds,
        signals=signals,
    )


def recorded_from(matrix: BlockMatrix) -> RecordedMemory:
    """The blocks that a metrics source answered, as a recording."""
    width = int(matrix.block_seconds)
    begin = int(matrix.end) - matrix.blocks * width
    signals = dict(matrix.signals)
    if Signal.START_TIME in signals:
        signals[Signal.START_TIME] = signals[Signal.START_TIME] + np.float32(matrix.end - begin)
    measured = np.zeros((len(matrix.keys), matrix.blocks), dtype=np.bool_)
    for signal in (Signal.RSS_FLOOR, Signal.WORKING_SET_TOP):
        if signal in signals:
            measured |= ~np.isnan(signals[signal])
    newest = matrix.blocks - np.argmax(measured[:, ::-1], axis=1)
    return RecordedMemory(
        keys=matrix.keys,
        begin=begin,
        block_seconds=width,
        signals=signals,
        first=(begin + width * np.argmax(measured, axis=1)).astype(np.float64),
        last=(begin + width * newest).astype(np.float64),
    )


_SMALLEST = {
    Signal.RSS_FLOOR,
    Signal.WORKING_SET_FLOOR,
    Signal.CACHE_FLOOR,
    Signal.HEAP_FLOOR,
    Signal.NEXT_GC_FLOOR,
    Signal.GOROUTINES_FLOOR,
}
_LARGEST = {Signal.RSS_TOP, Signal.WORKING_SET_TOP, Signal.START_TIME, Signal.RESTARTS}


def _widen(
    signal: Signal, matrix: Matrix, before: int, columns: int, factor: int, moved: np.float32
) -> Matrix:
    padded = np.full((len(matrix), columns * factor), np.nan, dtype=np.float32)
    kept = min(matrix.shape[1], columns * factor - before)
    padded[:, before : before + kept] = matrix[:, :kept]
    parts = padded.reshape(len(matrix), columns, factor)
    if signal in _SMALLEST:
        return np.asarray(np.fmin.reduce(parts, axis=2))
    if signal in _LARGEST:
        largest = np.asarray(np.fmax.reduce(parts, axis=2))
        return largest + moved if signal is Signal.START_TIME else largest
    known = ~np.isnan(parts)
    if signal is Signal.LIMIT or signal is Signal.ACTIVE_FILE:
        last = factor - 1 - np.argmax(known[:, :, ::-1], axis=2)
        return np.asarray(np.take_along_axis(parts, last[:, :, None], axis=2)[:, :, 0])
    total = np.where(known, parts, 0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    return np.where(known.any(axis=2), total, np.float32(np.nan)).astype(np.float32)
