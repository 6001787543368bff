"""What grows: named from what the process and the kernel tell beside resident memory."""

import numpy as np

from controller.detection.assessment import GrowthClass
from controller.detection.beside import CLASSES
from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import fill_gaps, window_floors
from controller.detection.timeline import Floats, Indices, RangeExtremes
from controller.metrics.series import Signal

BLOCKS = 12

GOROUTINE_BYTES = 2048.0
"""The smallest stack of a goroutine (runtime/stack.go, stackMin)."""

MANY_GOROUTINES = 50.0
GOROUTINE_FACTOR = 1.5
"""Goroutines leak when they grow by at least this factor, and by no few."""

HEAP_SHARE = 0.4
"""The live heap grows when it takes at least this share of the growth."""


def name_classes(candidates: Candidates, findings: Findings, rows: Indices) -> tuple[GrowthClass, ...]:
    """The class of each of `rows`; `unknown` where nothing tells."""
    spans = np.nan_to_num(findings.span[rows])
    heap = _ends(candidates, Signal.HEAP_FLOOR, rows, spans)
    goroutines = _ends(candidates, Signal.GOROUTINES_FLOOR, rows, spans)
    memory = _ends_of(candidates, candidates.floor_extremes, rows, spans)
    # What was added in that time: a pace that was learnt from days or lives may have begun later.
    gain = np.where(np.isnan(memory).any(axis=1), findings.gain[rows], memory[:, 1] - memory[:, 0])
    named: list[GrowthClass] = []
    for index, row in enumerate(rows):
        beside = int(findings.beside[row])
        if beside:
            named.append(CLASSES[beside - 1])
        else:
            named.append(_of_process(heap[index], goroutines[index], float(gain[index])))
    return tuple(named)


def _of_process(heap: Floats, goroutines: Floats, gain: float) -> GrowthClass:
    """`heap` and `goroutines` hold what there was at the beginning and at the end of the growth."""
    if np.isnan(heap).any() and np.isnan(goroutines).any():
        return GrowthClass.UNKNOWN
    if _goroutines_leak(goroutines, gain):
        return GrowthClass.GOROUTINE
    if np.isnan(heap).any():
        return GrowthClass.UNKNOWN
    return GrowthClass.HEAP if heap[1] - heap[0] >= HEAP_SHARE * gain else GrowthClass.NATIVE


def _goroutines_leak(goroutines: Floats, gain: float) -> bool:
    if np.isnan(goroutines).any():
        return False
    more = goroutines[1] - goroutines[0]
    return bool(
        more >= MANY_GOROUTINES
        and goroutines[1] >= GOROUTINE_FACTOR * goroutines[0]
        and more * GOROUTINE_BYTES >= 0.05 * gain
    )


def _ends(candidates: Candidates, signal: Signal, rows: Indices, spans: Floats) -> Floats:
    """Floor of `signal` at the beginning and at the end of each growth; shape (rows, 2)."""
    matrix = candidates.timeline.signals.get(signal)
    if matrix is None or not len(rows):
        return np.full((len(rows), 2), np.nan)
    return _ends_of(candidates, RangeExtremes(matrix[rows]), np.arange(len(rows)), spans)


def _ends_of(candidates: Candidates, extremes: RangeExtremes, places: Indices, spans: Floats) -> Floats:
    """The same where the rows stand at `places` in `extremes`."""
    values = window_floors(candidates.timeline, extremes, places, -spans, np.zeros(len(spans)), BLOCKS)
    known = np.mean(~np.isnan(values), axis=1) >= 0.5
    filled = fill_gaps(values)
    ends = np.stack([filled[:, :3].mean(axis=1), filled[:, -3:].mean(axis=1)], axis=1)
    # The means lie a block inside either end: carried to the ends, growth over the whole span is compared.
    reach = (ends[:, 1] - ends[:, 0]) * (BLOCKS / (BLOCKS - 3))
    ends[:, 1] = ends[:, 0] + reach
    return np.asarray(np.where(known[:, None], ends, np.nan))
