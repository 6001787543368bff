"""From recorded samples to blocks: the reduction that `controller.metrics.queries` asks the engine for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.metrics.recorded_memory import RecordedMemory
from controller.metrics.recording import RecordedSeries
from controller.metrics.series import ContainerKey, Matrix, Signal
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
    "go_goroutines": ((Signal.GOROUTINES_FLOOR, "min"),),
    "go_memstats_heap_inuse_bytes": ((Signal.HEAP_FLOOR, "min"),),
    "go_memstats_next_gc_bytes": ((Signal.NEXT_GC_FLOOR, "min"),),
}

_DECLARED = "kube_pod_container_resource_limits"

CADVISOR = ("container_memory_rss", "container_memory_working_set_bytes")
"""A container exists where one of these was recorded."""

MOST_BLOCKS = 200_000
"""Of one recording: nearly two years of five-minute blocks. More is a mistake of units."""


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
    wanted = set(keys)
    memory = [
        series
        for series in recorded
        if series.name in CADVISOR and len(series.times) and _key(series) in wanted
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
    grid.add_declared_limits(signals, recorded, place)
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
            if own is None:
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

    def add_declared_limits(
        self,
        signals: dict[Signal, Matrix],
        recorded: Iterable[RecordedSeries],
        place: Mapping[ContainerKey, int],
    ) -> None:
        """What is declared counts where the kernel's own limit is unknown; a pod may run with another."""
        declared = self.empty()
        for series in recorded:
            key = _key(series)
            row = None if key is None else place.get(key)
            memory = series.labels.get("resource", "memory") == "memory"
            if series.name == _DECLARED and memory and row is not None:
                declared[row] = np.fmax(declared[row], self.reduce(series.times, series.values, "last"))
        if not np.isnan(declared).all():
            held = signals.get(Signal.LIMIT, declared)
            signals[Signal.LIMIT] = np.where(held > 0, held, declared)

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
