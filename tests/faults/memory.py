"""A real Prometheus into which tests write what cAdvisor would say: minutes of past at once, then live."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.backfill import prometheus_over
from tests.cluster.cluster import Cluster

MIB = 2**20
SAMPLE_SECONDS = 2.0
PAST_SECONDS = 20 * 60.0
SMALL_BYTES = 60 * MIB
LIMIT_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True)
class Life:
    """What one pod's container holds, by its age."""

    started_at: float
    """Seconds since 1970; of a leaking one long before its pod, since no test waits for a leak."""
    bytes_per_second: float = 0.0

    def bytes_at(self, at: float) -> float:
        """What it holds at that time, in bytes."""
        return SMALL_BYTES + self.bytes_per_second * (at - self.started_at)


Pod = dict[str, Any]
Sample = tuple[Pod, Life, list[float]]
"""A pod, what it holds, and when that is said, in seconds since 1970."""

LEAK_BYTES_PER_SECOND = (340 * MIB - SMALL_BYTES) / PAST_SECONDS
"""From small to just short of 70 % of the limit, which it reaches a minute or so later."""


class Memory:
    """Feeds Prometheus until it is closed. `leak` says who leaks; whoever comes later does not."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self._cluster = cluster
        self._url = f"{url}/api/v1/otlp/v1/metrics"
        self._lives: dict[str, dict[str, Life]] = {}
        """By namespace and by uid of the pod: a StatefulSet's new pod bears the old one's name."""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=20)

    def leak(self, namespace: str, leaks: Callable[[Pod], bool] = lambda _: True) -> None:
        """Writes the past of all pods of `namespace`: those of which `leaks` is true grew all the while."""
        now = time.time()
        times = [now - seconds for seconds in range(int(PAST_SECONDS), -1, -int(SAMPLE_SECONDS))]
        pods = self._cluster.pods(namespace)
        lives = [Life(now - PAST_SECONDS, LEAK_BYTES_PER_SECOND if leaks(pod) else 0.0) for pod in pods]
        self._push([(pod, life, times) for pod, life in zip(pods, lives, strict=True)])
        with self._lock:
            self._lives[namespace] = {
                pod["metadata"]["uid"]: life for pod, life in zip(pods, lives, strict=True)
            }

    def forget(self, namespace: str) -> None:
        """Says nothing more of its pods."""
        with self._lock:
            self._lives.pop(namespace, None)

    def _run(self) -> None:
        while not self._closed.wait(SAMPLE_SECONDS):
            with self._lock:
                now = time.time()
                samples = [
                    (pod, self._life_of(pod, lives), [now])
                    for namespace, lives in self._lives.items()
                    for pod in self._cluster.pods(namespace)
                ]
            if samples:
                self._push(samples)

    def _life_of(self, pod: Pod, known: dict[str, Life]) -> Life:
        created_at = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        return known.setdefault(pod["metadata"]["uid"], Life(created_at.timestamp()))

    def _push(self, samples: Sequence[Sample]) -> None:
        """By OTLP, as JSON: the one protocol of writing that Prometheus takes as text."""
        told = [
            {"name": name, "gauge": {"dataPoints": [*_points(samples, value)]}}
            for name, value in METRICS.items()
        ]
        document = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": told}]}]}
        request = urllib.request.Request(
            self._url, json.dumps(document).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=20).close()


METRICS: dict[str, Callable[[Life, float], float]] = {
    "container_memory_rss": Life.bytes_at,
    "container_memory_working_set_bytes": Life.bytes_at,
    "container_spec_memory_limit_bytes": lambda _life, _at: float(LIMIT_BYTES),
    "container_start_time_seconds": lambda life, _at: life.started_at,
}


def _points(samples: Sequence[Sample], value: Callable[[Life, float], float]) -> Iterator[dict[str, Any]]:
    for pod, life, times in samples:
        metadata = pod["metadata"]
        labels = {"namespace": metadata["namespace"], "pod": metadata["name"], "container": "app"}
        attributes = [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()]
        for at in times:
            nanoseconds = str(int(at * 1000) * 1_000_000)
            yield {"attributes": attributes, "timeUnixNano": nanoseconds, "asDouble": value(life, at)}


@contextmanager
def written_prometheus(folder: Path) -> Iterator[str]:
    """An empty Prometheus that takes what is written to it: its URL, until the end of the block."""
    with prometheus_over(folder, "--web.enable-otlp-receiver") as url:
        yield url
