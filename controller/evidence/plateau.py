"""
Whether what grew has stopped growing: the one thing that two totals can hide.

A cache that fills up to its bound grows like a leak until it is full. A third profile in between tells them
apart. Without one, what is served meanwhile is a clock: a leak keeps the same share of it before and after
the baseline, a cache less and less.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.origin import Origin
from controller.evidence.sampling import sampling_probability

_SLOWED_TO = 0.4
_FEWEST_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Growth by function in bytes, up to a profile in the middle and after it, and how long each took."""

    first: Mapping[str, float]
    second: Mapping[str, float]
    first_seconds: float
    second_seconds: float

    def slows(self, function: str) -> bool:
        """Whether the function's growth per second fell off: what fills a bound does, a leak does not."""
        if min(self.first_seconds, self.second_seconds) <= 0:
            return False
        before = self.first.get(function, 0.0) / self.first_seconds
        after = self.second.get(function, 0.0) / self.second_seconds
        return before > 0 and after < _SLOWED_TO * before


def is_slowing(comparison: Comparison, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> bool:
    """
    Whether these rows (indices) kept less per request since the baseline than before it.

    False where the baseline holds too few samples to say.
    """
    before = comparison.inuse_bytes[rows] - comparison.inuse_delta_bytes[rows]
    clock = _requests(comparison)
    kept_before, kept_since = float(before.sum()), float(comparison.inuse_delta_bytes[rows].sum())
    served_before = float(comparison.alloc_before_bytes[clock].sum())
    served_since = float(comparison.alloc_bytes[clock].sum())
    if not comparison.same_process or min(kept_before, served_before, served_since) <= 0:
        return False
    if min(
        _samples(comparison, rows, before), _samples(comparison, clock, comparison.alloc_before_bytes[clock])
    ) < (_FEWEST_SAMPLES):
        return False
    return kept_since / served_since < _SLOWED_TO * kept_before / served_before


def _requests(comparison: Comparison) -> Indices:
    """Rows allocated while a request was served and mostly freed since: what the work itself needs."""
    dispatch = {number for number, origin in enumerate(comparison.origins) if origin is Origin.DISPATCH}
    served = np.array(
        [not dispatch.isdisjoint(stack.tolist()) for stack in comparison.stacks], dtype=np.bool_
    )
    freed = comparison.inuse_bytes < (comparison.alloc_bytes + comparison.alloc_before_bytes) / 2
    return np.flatnonzero(served[comparison.stack_of] & freed).astype(np.int32)


def _samples(
    comparison: Comparison,
    rows: "np.ndarray[tuple[int], np.dtype[np.int64]] | Indices",
    sizes: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> float:
    block = np.maximum(comparison.block_bytes[rows], 1)
    return float((sizes / block * sampling_probability(block, comparison.period)).sum())
