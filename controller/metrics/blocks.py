"""From recorded samples to blocks: the reduction that `controller.metrics.queries` asks the engine for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.metrics.recording import RecordedSeries
from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal
from controller.policy.memory_policy import RequestRate

_FROM: dict[str, tuple[tuple[Signal, str], ...]] = {
    "container_memory_rss": ((Signal.RSS_FLOOR, "min"), (Signal.RSS_TOP, "max")),
    "container_memory_working_set_bytes": (
        (Signal.WORKING_SET_FLOOR, "min"),
        (Signal.WORKING_SET_TOP, "max"),
    ),
    "container_start_time_seconds": ((Signal.START_TIME, "last"),),
    "kube_pod_container_status_restarts_total": ((Signal.RESTARTS, "last"),),
    "container_memory_cache": ((Signal.CACHE_FLOOR, "min"),),
    "container_memory_total_active_file_bytes": ((Signal.ACTIVE_FILE, "last"),),
    "container_spec_memory_limit_bytes": ((Signal.LIMIT, "last"),),
    "kube_pod_container_resource_limits": ((Signal.LIMIT, "last"),),
    "go_goroutines": ((Signal.GOROUTINES_FLOOR, "min"),),
    "go_memstats_heap_inuse_bytes": ((Signal.HEAP_FLOOR, "min"),),
    "go_memstats_next_gc_bytes": ((Signal.NEXT_GC_FLOOR, "min"),),
}

CADVISOR = ("container_memory_rss", "container_memory_working_set_bytes")
"""A container exists where one of these was recorded."""

MOST_BLOCKS = 200_000
"""Of one recording: nearly two years of five-minute blocks. More is a mistake of units."""


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
            part = matrix[:, first:stop] if whole else matrix[rows, first:stop]
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


def block_recordings(
    recorded: Sequence[RecordedSeries],
    block_seconds: int,
    apart_seconds: float,
    rate: RequestRate | None = None,
) -> tuple[RecordedMemory, ...]:
    """
    Blocks of every container of which memory was recorded.

    Containers recorded more than `apart_seconds` apart stand in recordings of their own, so that two days
    of two years cost two days. Raises ValueError where one would be absurdly long.
    """
    spans: dict[ContainerKey, tuple[float, float]] = {}
    for series in recorded:
        key = _key(series)
        if series.name in CADVISOR and key is not None and len(series.times):
            first, last = spans.get(key, (np.inf, -np.inf))
            spans[key] = (min(first, float(series.times[0])), max(last, float(series.times[-1])))
    groups: list[set[ContainerKey]] = []
    latest = -np.inf
    for key, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        if first > latest + apart_seconds:
            groups.append(set())
        groups[-1].add(key)
        latest = max(latest, last)
    by_pod: dict[tuple[str, str], list[RecordedSeries]] = {}
    for series in recorded:
        pod = series.labels.get("namespace", ""), series.labels.get("pod", "")
        by_pod.setdefault(pod, []).append(series)
    return tuple(
        _block_recording(
            [one for pod in sorted({(key.namespace, key.pod) for key in keys}) for one in by_pod[pod]],
            tuple(sorted(keys)),
            block_seconds,
            rate,
        )
        for keys in groups
    )


def _block_recording(
    recorded: Sequence[RecordedSeries],
    keys: tuple[ContainerKey, ...],
    block_seconds: int,
    rate: RequestRate | None,
) -> RecordedMemory:
    memory = [
        series
        for series in recorded
        if series.name in CADVISOR and len(series.times) and _key(series) in set(keys)
    ]
    begin = int(min(series.times[0] for series in memory)) // block_seconds * block_seconds
    columns = int(max(series.times[-1] for series in memory) - begin) // block_seconds + 1
    if columns > MOST_BLOCKS:
        raise ValueError(
            f"the samples lie {columns * block_seconds / 86400:.0f} days apart; are all times in seconds?"
        )
    place = {key: row for row, key in enumerate(keys)}
    grid = _Grid(begin=begin, block_seconds=block_seconds, rows=len(keys), columns=columns)
    signals = grid.signals(recorded, place)
    if rate is not None:
        grid.add_request_rate(signals, recorded, keys, rate)
    first, last = _seen(memory, place)
    return RecordedMemory(
        keys=keys, begin=begin, block_seconds=block_seconds, signals=signals, first=first, last=last
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    begin: int
    block_seconds: int
    rows: int
    columns: int

    def signals(
        self, recorded: Iterable[RecordedSeries], place: Mapping[ContainerKey, int]
    ) -> dict[Signal, Matrix]:
        signals: dict[Signal, Matrix] = {}
        pods: dict[tuple[str, str], list[int]] = {}
        for key, row in place.items():
            pods.setdefault((key.namespace, key.pod), []).append(row)
        for series in recorded:
            own = self._row(series, place, pods)
            if own is None or series.labels.get("resource", "memory") != "memory":
                continue
            for signal, how in _FROM.get(series.name, ()):
                matrix = signals.setdefault(signal, self.empty())
                values = series.values - self.begin if signal is Signal.START_TIME else series.values
                reduced = self.reduce(series.times, values, how)
                matrix[own] = np.fmax(matrix[own], reduced)
        return signals

    def empty(self) -> Matrix:
        return np.full((self.rows, self.columns), np.nan, dtype=np.float32)

    def reduce(self, times: NDArray[np.float64], values: NDArray[np.float64], how: str) -> Matrix:
        """One number per block, shape (columns,); NaN where nothing was measured."""
        reduced = np.full(self.columns, np.nan, dtype=np.float32)
        block = np.floor((times - self.begin) / self.block_seconds).astype(np.int64)
        inside = (block >= 0) & (block < self.columns)
        block, values = block[inside], values[inside]
        if not len(block):
            return reduced
        first = np.flatnonzero(np.r_[True, block[1:] != block[:-1]])
        if how == "min":
            found = np.minimum.reduceat(values, first)
        elif how == "max":
            found = np.maximum.reduceat(values, first)
        elif how == "mean":
            found = np.add.reduceat(values, first) / np.diff(np.r_[first, len(values)])
        else:
            found = values[np.r_[first[1:], len(values)] - 1]
        reduced[block[first]] = found
        return reduced

    def add_request_rate(
        self,
        signals: dict[Signal, Matrix],
        recorded: Iterable[RecordedSeries],
        keys: Sequence[ContainerKey],
        rate: RequestRate,
    ) -> None:
        """Requests per second of each pod, the sum over its counters, told of all its containers."""
        wanted = dict(rate.match_labels)
        pods: dict[tuple[str, str], Matrix] = {}
        for series in recorded:
            labels = series.labels
            if series.name != rate.metric or any(labels.get(name) != value for name, value in wanted.items()):
                continue
            pod = labels.get("namespace", ""), labels.get("pod", "")
            rates = self._rate(series.times, series.values)
            known = pods.get(pod)
            pods[pod] = rates if known is None else _sum_of_known(known, rates)
        if not pods:
            return
        matrix = self.empty()
        for row, key in enumerate(keys):
            if (key.namespace, key.pod) in pods:
                matrix[row] = pods[key.namespace, key.pod]
        signals[Signal.REQUEST_RATE] = matrix

    def _rate(self, times: NDArray[np.float64], values: NDArray[np.float64]) -> Matrix:
        if len(times) < 2:
            return np.full(self.columns, np.nan, dtype=np.float32)
        rise = np.diff(values)
        rise = np.where(rise < 0, values[1:], rise)
        return self.reduce(times[1:], rise / np.diff(times), "mean")

    @staticmethod
    def _row(
        series: RecordedSeries,
        place: Mapping[ContainerKey, int],
        pods: Mapping[tuple[str, str], list[int]],
    ) -> int | None:
        key = _key(series)
        if key is not None:
            return place.get(key)
        only = pods.get((series.labels.get("namespace", ""), series.labels.get("pod", "")), [])
        return only[0] if len(only) == 1 and series.name.startswith("go_") else None


def _key(series: RecordedSeries) -> ContainerKey | None:
    labels = series.labels
    container = labels.get("container", "")
    if not container or container == "POD" or not labels.get("pod"):
        return None
    return ContainerKey(labels.get("namespace", ""), labels["pod"], container)


def _seen(
    memory: Iterable[RecordedSeries], place: Mapping[ContainerKey, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, last = np.full(len(place), np.inf), np.full(len(place), -np.inf)
    for series in memory:
        key = _key(series)
        if key is not None:
            row = place[key]
            first[row] = min(first[row], series.times[0])
            last[row] = max(last[row], series.times[-1])
    return first, last


def _sum_of_known(left: Matrix, right: Matrix) -> Matrix:
    both = np.nan_to_num(left) + np.nan_to_num(right)
    return np.where(np.isnan(left) & np.isnan(right), np.float32(np.nan), both)


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
