"""
How far a heap profile can be trusted, given that it is a sample.

The runtime samples a block of size s with probability p = 1 − exp(−s / MemProfileRate) and divides by p
when it writes the profile (`runtime/pprof/protomem.go`, scaleHeapSample; `runtime.MemProfileRate`). A count
of k sampled blocks of that size therefore stands for k·s/p bytes with variance k·s²·(1 − p)/p²
(thinning of a Poisson count: Kingman, Poisson Processes, 1993, § 5.1).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.evidence.comparison import Comparison, Numbers

Rows = np.ndarray[Any, np.dtype[np.int64]]

FEW_SAMPLES = 20
"""Below it the relative standard error of small blocks is above 1/√20 = 22 %."""
_FEWEST_DESCRIPTORS = 3
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingError:
    """The uncertainty of one sum of rows."""

    sampled_blocks: float
    """Blocks that were really seen and make up the growth."""
    plus_minus_bytes: float
    """Half the width of the 95 % interval."""


def sampling_probability(block_bytes: Numbers, period: int) -> Numbers:
    """The chance that a block of each size (rows,) was sampled; 1 where everything was."""
    if period <= 1:
        return np.ones_like(block_bytes)
    return np.asarray(-np.expm1(-np.maximum(block_bytes, 1.0) / period), dtype=np.float64)


def growth_error(comparison: Comparison, rows: Rows | slice = slice(None)) -> SamplingError:
    """The error of the growth summed over some rows (indices, or all)."""
    size = comparison.block_bytes[rows]
    probability = sampling_probability(size, comparison.period)
    sampled = np.abs(comparison.inuse_delta_objects[rows]) * probability
    variance = float((sampled * size**2 * (1 - probability) / probability**2).sum())
    return SamplingError(sampled_blocks=float(sampled.sum()), plus_minus_bytes=_NORMAL_95 * variance**0.5)


def goroutines_by_descriptors(comparison: Comparison) -> int:
    """
    How many more goroutines there were at one time, by `runtime.malg`; 0 where too few were sampled to say.

    The runtime never frees a descriptor, so it tells of the most there were, not of those that are left.
    """
    made = {number for number, frame in enumerate(comparison.frames) if frame.function == "runtime.malg"}
    stacks = [not made.isdisjoint(stack.tolist()) for stack in comparison.stacks]
    rows = np.flatnonzero(np.array(stacks, dtype=np.bool_)[comparison.stack_of])
    more = float(comparison.inuse_delta_objects[rows].sum())
    sampled = growth_error(comparison, rows).sampled_blocks
    return round(more) if sampled >= _FEWEST_DESCRIPTORS and more > 0 else 0
