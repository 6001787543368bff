"""
Growth that resident memory does not show: a live heap under a soft limit, goroutines that never end.

Under GOMEMLIMIT or -Xmx the collector keeps resident memory flat while what is alive fills it. That is told
as `Suspect`, so that a profile is kept while there is room; how much room is left the series do not say.
"""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import measure, window_floors
from controller.detection.sensitivity import Caution
from controller.detection.timeline import Floats, Indices, RangeExtremes
from controller.metrics.series import Signal

LOOK_BACKS = (1.0, 0.62, 0.37)
BLOCKS = 14
STRAIGHT, LATE, STEP = 0.93, 0.55, 0.3

FACTOR = 1.5
"""It must have grown by half of what it was,"""
MANY_GOROUTINES = 200.0
"""and be many goroutines,"""
HEAP_SHARE = 0.05
"""or a share of the limit."""


def judge_hidden(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """Adds containers whose live heap or goroutines grow while nothing else is to be told of them."""
    limit = np.nan_to_num(candidates.runs.limit)
    _judge(candidates, caution, findings, Signal.HEAP_FLOOR, np.maximum(HEAP_SHARE * limit, 1.0))
    many = np.full(len(limit), MANY_GOROUTINES)
    _judge(candidates, caution, findings, Signal.GOROUTINES_FLOOR, many)


def _judge(
    candidates: Candidates, caution: Caution, findings: Findings, signal: Signal, least: Floats
) -> None:
    matrix = candidates.timeline.signals.get(signal)
    if matrix is None:
        return
    rows = np.flatnonzero(candidates.judged & ~findings.told & ~np.isnan(matrix).all(axis=1))
    if not len(rows):
        return
    extremes = RangeExtremes(matrix)
    for share in LOOK_BACKS:
        spans = candidates.runs.ages[rows] * share
        chosen = spans >= caution.short_growth
        if chosen.any():
            _tell(candidates, findings, signal, rows[chosen], spans[chosen], extremes, least)


def _tell(
    candidates: Candidates,
    findings: Findings,
    signal: Signal,
    rows: Indices,
    spans: Floats,
    extremes: RangeExtremes,
    least: Floats,
) -> None:
    values = window_floors(candidates.timeline, extremes, rows, -spans, np.zeros(len(rows)), BLOCKS)
    known = np.mean(~np.isnan(values), axis=1) >= 0.6
    rows, spans, values = rows[known], spans[known], values[known]
    if not len(rows):
        return
    shapes = measure(values, spans)
    with np.errstate(invalid="ignore"):
        grows = (
            (shapes.gain >= least[rows])
            & (shapes.newest >= FACTOR * shapes.first)
            & (shapes.straightness >= STRAIGHT)
            & (shapes.late >= LATE)
            & (shapes.step <= STEP)
        )
    told = rows[grows]
    findings.suspect[told] = True
    findings.hidden[told] = True
    findings.goroutines[told] = signal is Signal.GOROUTINES_FLOOR
