"""
The ring of blocks: what the metrics source said, kept per container at constant cost.

New blocks are folded in as they come and old ones leave; nothing is fetched twice but the newest block,
whose late samples may still arrive. Everything in it can be fetched again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal

SPARE_BLOCKS = 64
"""Columns kept free so that time moves on without moving memory."""

LONG_AGO = -8.0e6
"""Starts before this (92 days) are told as this, so that float32 holds every start to the second."""

IMPOSSIBLE = 1e18
"""No machine has so many bytes: such a sample is an error."""

PER_POD = {Signal.REQUEST_RATE}
"""Signals that belong to every container of a pod."""

MEMORY = {Signal.RSS_FLOOR, Signal.RSS_TOP, Signal.WORKING_SET_FLOOR, Signal.WORKING_SET_TOP}
"""
Signals that make a container known. kube-state-metrics tells limits and restarts of init containers and of
Completed pods, too, although nothing of them is measured.
"""


class FloorRing:
    """Blocks of `signals` for a changing set of containers, up to a moving end."""

    def __init__(self, *, blocks: int, block_seconds: int) -> None:
        self.blocks = blocks
        self.block_seconds = block_seconds
        self.end = 0
        """Unix seconds of the end of the newest block; a multiple of `block_seconds`."""
        self._stop = blocks
        self._rows: dict[ContainerKey, int] = {}
        self._pods: dict[tuple[str, str], list[int]] = {}
        self._signals: dict[Signal, Matrix] = {}

    @property
    def keys(self) -> Collection[ContainerKey]:
        """The containers of whose memory something is in the ring; valid until the next `fold`."""
        return self._rows.keys()

    def advance(self, end: int) -> None:
        """Moves the end of the ring to `end`, which must be a multiple of the block width, not earlier."""
        steps = (end - self.end) // self.block_seconds if self.end else 0
        self.end = end
        if steps <= 0:
            return
        starts = self._signals.get(Signal.START_TIME)
        if starts is not None:
            self._signals[Signal.START_TIME] = np.maximum(
                starts - np.float32(steps * self.block_seconds), np.float32(LONG_AGO)
            )
        if self._stop + steps <= self.blocks + SPARE_BLOCKS:
            self._stop += steps
            return
        self._compact(min(steps, self.blocks))
        self._stop = self.blocks

    def fold(self, signal: Signal, result: Sequence[Mapping[str, Any]]) -> int:
        """
        Takes in a matrix answer and returns how many of its points had a place here.

        Only memory makes a container known: the other signals are folded in after it. Points outside the
        ring's time, negative ones and those that are no finite number are left out.
        """
        rows: list[int] = []
        counts: list[int] = []
        times: list[float] = []
        values: list[Any] = []
        for series in result:
            targets = self._targets(signal, series.get("metric", {}))
            points = series.get("values", ())
            for row in targets:
                rows.append(row)
                counts.append(len(points))
                times.extend([point[0] for point in points])
                values.extend([point[1] for point in points])
        if not times:
            return 0
        when = np.array(times, dtype=np.float64)
        numbers = np.array(values, dtype=np.float64)
        columns = self._stop - 1 - np.rint((self.end - when) / self.block_seconds).astype(np.int64)
        if signal is Signal.START_TIME:
            numbers = np.clip(numbers - self.end, LONG_AGO, 0.0)
        else:
            numbers[(numbers < 0) | (numbers > IMPOSSIBLE)] = np.nan
        inside = (columns >= self._stop - self.blocks) & (columns < self._stop) & np.isfinite(numbers)
        matrix = self._matrix(signal)
        matrix[np.repeat(rows, counts)[inside], columns[inside]] = numbers[inside]
        return int(inside.sum())

    def forget_vanished(self) -> int:
        """Drops containers of whose memory nothing is left in the ring; returns how many."""
        if not self._rows:
            return 0
        seen = np.zeros(len(self._rows), dtype=np.bool_)
        for signal in MEMORY & self._signals.keys():
            matrix = self._matrix(signal)
            seen |= ~np.isnan(matrix[:, self._stop - self.blocks : self._stop]).all(axis=1)
        if seen.all():
            return 0
        self._signals = {signal: matrix[seen] for signal, matrix in self._signals.items()}
        kept = [key for key, row in self._rows.items() if seen[row]]
        gone = len(self._rows) - len(kept)
        self._rows, self._pods = {}, {}
        for key in kept:
            self._remember(key)
        return gone

    def matrix(self) -> BlockMatrix:
        """Everything in the ring, as views: valid until the next `advance` or `fold`."""
        window = slice(self._stop - self.blocks, self._stop)
        return BlockMatrix(
            keys=tuple(self._rows),
            end=float(self.end),
            block_seconds=float(self.block_seconds),
            signals={signal: self._matrix(signal)[:, window] for signal in tuple(self._signals)},
        )

    def newest(self, signals: Iterable[Signal]) -> int | None:
        """Unix seconds of the end of the newest block in which any of `signals` was measured."""
        newest: int | None = None
        for signal in signals:
            matrix = self._signals.get(signal)
            if matrix is None:
                continue
            measured = np.flatnonzero(~np.isnan(matrix[:, self._stop - self.blocks : self._stop]).all(axis=0))
            if len(measured):
                behind = self.blocks - 1 - int(measured[-1])
                newest = max(newest or 0, self.end - behind * self.block_seconds)
        return newest

    def _targets(self, signal: Signal, labels: Mapping[str, str]) -> list[int]:
        namespace, pod = labels.get("namespace", ""), labels.get("pod", "")
        if not pod:
            return []
        if signal in PER_POD:
            return self._pods.get((namespace, pod), [])
        container = labels.get("container", "")
        row = self._rows.get(ContainerKey(namespace, pod, container))
        if row is not None:
            return [row]
        if not container:
            # A process tells of itself without saying in which container: clear only where there is one.
            only = self._pods.get((namespace, pod), [])
            return only if len(only) == 1 else []
        if signal not in MEMORY:
            return []
        return [self._remember(ContainerKey(namespace, pod, container))]

    def _remember(self, key: ContainerKey) -> int:
        row = len(self._rows)
        self._rows[key] = row
        self._pods.setdefault((key.namespace, key.pod), []).append(row)
        return row

    def _matrix(self, signal: Signal) -> Matrix:
        """The matrix of `signal` with a row for every container known by now."""
        matrix = self._signals.get(signal)
        missing = len(self._rows) - (0 if matrix is None else len(matrix))
        if matrix is None or missing:
            more = np.full((missing, self.blocks + SPARE_BLOCKS), np.nan, dtype=np.float32)
            matrix = more if matrix is None else np.concatenate([matrix, more])
            self._signals[signal] = matrix
        return matrix

    def _compact(self, steps: int) -> None:
        kept = self.blocks - steps
        for signal, matrix in self._signals.items():
            moved = np.full_like(matrix, np.nan)
            moved[:, :kept] = matrix[:, self._stop - kept : self._stop]
            self._signals[signal] = moved
