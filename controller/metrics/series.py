"""
Memory of many containers as matrices: one row per container, one column per block of time.

Everything that is judged together is held together, because detection works on whole matrices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Seconds = NDArray[np.float64]


class Signal(StrEnum):
    """
    What a matrix holds, per block. Bytes unless said otherwise; NaN where nothing was measured.

    The Prometheus series each is made from stand in `controller.metrics.queries`.
    """

    RSS_FLOOR = "rss_floor"
    """Smallest resident anonymous memory in the block (`container_memory_rss`)."""
    RSS_TOP = "rss_top"
    """Largest resident anonymous memory in the block."""
    WORKING_SET_TOP = "working_set_top"
    """Largest working set in the block: what the kernel's limit is compared with."""
    WORKING_SET_FLOOR = "working_set_floor"
    """Smallest working set in the block."""
    LIMIT = "limit"
    """The memory limit at the end of the block; NaN or 0 where there is none."""
    START_TIME = "start_time"
    """Start of the container that ran at the end of the block, in seconds relative to `BlockMatrix.end`
    (so that float32 holds it to the second); never positive."""
    RESTARTS = "restarts"
    """Restart count of the container at the end of the block (count)."""
    CACHE_FLOOR = "cache_floor"
    """Smallest page cache, shared memory included (`container_memory_cache`)."""
    ACTIVE_FILE = "active_file"
    """Active file cache at the end of the block."""
    HEAP_FLOOR = "heap_floor"
    """Smallest Go heap in use in the block."""
    NEXT_GC_FLOOR = "next_gc_floor"
    """Smallest `go_memstats_next_gc_bytes`: about twice the live heap."""
    GOROUTINES_FLOOR = "goroutines_floor"
    """Smallest number of goroutines in the block (count)."""
    REQUEST_RATE = "request_rate"
    """Requests per second over the block."""


@dataclass(frozen=True, slots=True, order=True)
class ContainerKey:
    """Names one container of one replica, as the metrics do."""

    namespace: str
    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}/{self.container}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMatrix:
    """
    What the memory of `keys` did in the time before `end`.

    `signals[s]` has shape (len(keys), blocks); column j covers the `block_seconds` that end at
    `end - (blocks - 1 - j) * block_seconds`. A signal nobody measures is absent.
    """

    keys: tuple[ContainerKey, ...]
    end: float
    block_seconds: float
    signals: Mapping[Signal, Matrix]
    rate_unknown: Mapping[str, str] = field(default_factory=dict)
    """By namespace: why the request rate that was asked for could not be read."""

    @property
    def blocks(self) -> int:
        """Number of columns."""
        return next((matrix.shape[1] for matrix in self.signals.values()), 0)

    def of_rows(self, rows: Sequence[int]) -> "BlockMatrix":
        """The same blocks for only these rows, in this order."""
        chosen = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            keys=tuple(self.keys[row] for row in rows),
            signals={signal: matrix[chosen] for signal, matrix in self.signals.items()},
        )
