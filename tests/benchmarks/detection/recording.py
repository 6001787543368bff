"""One container's recorded series on one grid, and the `query_range` matrix they are read from and
written to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

WORKING_SET = "container_memory_working_set_bytes"
RSS = "container_memory_rss"
CACHE = "container_memory_cache"
ACTIVE_FILE = "container_memory_total_active_file_bytes"
LIMIT = "container_spec_memory_limit_bytes"
RESOURCE_LIMIT = "kube_pod_container_resource_limits"
START = "container_start_time_seconds"
RESTARTS = "kube_pod_container_status_restarts_total"
GOROUTINES = "go_goroutines"
HEAP_INUSE = "go_memstats_heap_inuse_bytes"
NEXT_GC = "go_memstats_next_gc_bytes"
REQUESTS = "http_requests_total"

LINGERING_SECONDS = 300.0
_SLOW = {LIMIT, RESOURCE_LIMIT, RESTARTS}
_OF_CADVISOR = {WORKING_SET, RSS, CACHE, ACTIVE_FILE, LIMIT, START}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Series of one container: `time` (n,) in epoch seconds, each of `series` (n,) under its Prometheus name.

    NaN is a missing sample. `lingers` says that after a restart the previous container's series goes on
    for five minutes beside the new one, as cAdvisor's do (google/cadvisor#2844).
    """

    namespace: str
    pod: str
    container: str
    time: Values
    series: Mapping[str, Values]
    lingers: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return self.namespace, self.pod, self.container

    @property
    def limit(self) -> Values:
        """Limit (n,) in bytes, NaN where none is known."""
        name = LIMIT if LIMIT in self.series else RESOURCE_LIMIT
        return self.series.get(name, np.full(len(self.time), np.nan))

    @property
    def starts(self) -> Values:
        """Distinct start times in epoch seconds, as far as they were recorded."""
        start = self.series.get(START, np.array([]))
        return np.unique(start[np.isfinite(start)])


def matrix(recordings: Iterable[Recording]) -> dict[str, Any]:
    """Write recordings as a Prometheus `query_range` answer."""
    results = [result for recording in recordings for result in _results(recording)]
    return {"status": "success", "data": {"resultType": "matrix", "result": results}}


def _results(recording: Recording) -> Iterable[dict[str, Any]]:
    own = {"namespace": recording.namespace, "pod": recording.pod, "container": recording.container}
    for name, values in recording.series.items():
        if name == REQUESTS:
            labels = {"namespace": recording.namespace, "pod": recording.pod}
            failed = np.floor(values * 0.01)
            yield _result(recording, {"__name__": name, **labels, "code": "200"}, values - failed)
            yield _result(recording, {"__name__": name, **labels, "code": "500"}, failed)
        elif name == RESOURCE_LIMIT:
            yield _result(recording, {"__name__": name, **own, "resource": "memory", "unit": "byte"}, values)
        elif name in _OF_CADVISOR and recording.lingers:
            yield from _by_life(recording, {"__name__": name, **own}, values)
        else:
            yield _result(recording, {"__name__": name, **own}, values)


def _result(recording: Recording, labels: dict[str, str], values: Values) -> dict[str, Any]:
    known = np.flatnonzero(np.isfinite(values))
    if labels["__name__"] in _SLOW:
        known = known[_needed_to_tell(values[known])]
    times, numbers = recording.time[known], values[known]
    samples = [[t, f"{v:.0f}"] for t, v in zip(times.astype(int).tolist(), numbers.tolist(), strict=True)]
    return {"metric": labels, "values": samples}


def _needed_to_tell(values: Values) -> Values:
    """Every tenth sample and those beside a change: enough for what changes rarely, in a tenth of the
    file.
    """
    at = np.arange(len(values))
    changed = np.r_[False, np.diff(values) != 0] if len(values) else np.zeros(0, bool)
    return at[(at % 10 == 0) | changed | np.r_[changed[1:], True][: len(at)]]


def _by_life(recording: Recording, labels: dict[str, str], values: Values) -> Iterable[dict[str, Any]]:
    start = recording.series[START]
    for birth in recording.starts:
        lived = values.copy()
        lived[start != birth] = np.nan
        last = np.flatnonzero(np.isfinite(lived))
        if not len(last):
            continue
        died = recording.time[last[-1]]
        after = (recording.time > died) & (recording.time <= died + LINGERING_SECONDS)
        lived[after] = lived[last[-1]]
        seed = "/".join((*recording.key, str(birth)))
        yield _result(
            recording, {**labels, "id": f"/kubepods/{blake2s(seed.encode()).hexdigest()[:16]}"}, lived
        )


def recordings(answer: Mapping[str, Any]) -> tuple[Recording, ...]:
    """Read a `query_range` answer back, one recording per container; the larger of duplicated samples wins.

    Only for files this package wrote or vouches for: the reader that meets the world's files is the
    controller's.
    """
    containers: dict[tuple[str, str, str], dict[str, dict[float, float]]] = {}
    for result in answer["data"]["result"]:
        labels = result["metric"]
        if "container" not in labels:
            continue
        key = labels["namespace"], labels["pod"], labels["container"]
        samples = containers.setdefault(key, {}).setdefault(labels["__name__"], {})
        for at, value in result["values"]:
            samples[at] = max(samples.get(at, -np.inf), float(value))
    return tuple(_on_one_grid(key, named) for key, named in sorted(containers.items()))


def _on_one_grid(key: tuple[str, str, str], named: dict[str, dict[float, float]]) -> Recording:
    time = np.array(sorted({at for samples in named.values() for at in samples}), dtype=float)
    series = {}
    for name, samples in named.items():
        at = np.array(sorted(samples), dtype=float)
        values = np.array([samples[moment] for moment in at])
        place = np.searchsorted(at, time, side="right") - 1
        if name in _SLOW | {START}:
            series[name] = values[np.maximum(place, 0)]
        else:
            series[name] = np.where(
                (place >= 0) & (at[np.maximum(place, 0)] == time), values[np.maximum(place, 0)], np.nan
            )
    namespace, pod, container = key
    return Recording(namespace=namespace, pod=pod, container=container, time=time, series=series)
