"""
Growth that resident memory does not show: a live heap under a soft limit, goroutines that never end.

Under GOMEMLIMIT or -Xmx the collector keeps resident memory flat while what is alive fills it. That is told
as `Suspect`, so that a profile is kept while there is room; how much room is left the series do not say.
Once resident memory follows, its growth is as old as that of the live heap, and not as young as it looks.
"""

from dataclasses import dataclass

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import measure, window_floors
from controller.detection.sensitivity import Caution
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes
from controller.metrics.series import Signal

LOOK_BACKS = (1.0, 0.62, 0.37)
BLOCKS = 14
STRAIGHT, LATE, STEP = 0.93, 0.55, 0.3
COVERAGE = 0.6

FACTOR = 1.5
"""It must have grown by half of what it was,"""
MANY_GOROUTINES = 200.0
"""and be many goroutines,"""
HEAP_SHARE = 0.05
"""or a share of the limit."""

SHARED_PACE = 0.5
"""Resident memory follows the live heap from this share of its own pace on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HiddenGrowth:
    """How a signal grows in each row that was asked about; zeros where it does not. Shapes (rows,)."""

    span: Floats
    """Seconds it has grown for."""
    slope: Floats
    gain: Floats

    @classmethod
    def nothing(cls, count: int) -> "HiddenGrowth":
        """No growth in any of `count` rows."""
        return cls(span=np.zeros(count), slope=np.zeros(count), gain=np.zeros(count))

    def only(self, places: Indices) -> "HiddenGrowth":
        """The same for the chosen rows, which may repeat."""
        return HiddenGrowth(span=self.span[places], slope=self.slope[places], gain=self.gain[places])


def judge_hidden(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """Adds containers whose live heap or goroutines grow while nothing else is to be told of them."""
    for signal in (Signal.HEAP_FLOOR, Signal.GOROUTINES_FLOOR):
        rows = np.flatnonzero(candidates.judged & ~findings.told)
        told = rows[hidden_growth(candidates, caution, signal, rows).span > 0]
        findings.suspect[told] = True
        findings.hidden[told] = True
        findings.goroutines[told] = signal is Signal.GOROUTINES_FLOOR


def behind_a_soft_limit(
    candidates: Candidates, caution: Caution, rows: Indices, slopes: Floats, stood_still: Flags
) -> HiddenGrowth:
    """
    The growth of the live heap that the memory of `rows`, growing by `slopes`, follows at last.

    Only where memory `stood_still` before: what grew along with its heap is as old as it looks.
    """
    found = HiddenGrowth.nothing(len(rows))
    heap = hidden_growth(candidates, caution, Signal.HEAP_FLOOR, rows[stood_still])
    follows = heap.slope >= SHARED_PACE * slopes[stood_still]
    place, heap = np.flatnonzero(stood_still)[follows], heap.only(np.flatnonzero(follows))
    found.span[place], found.slope[place], found.gain[place] = heap.span, heap.slope, heap.gain
    return found


def hidden_growth(candidates: Candidates, caution: Caution, signal: Signal, rows: Indices) -> HiddenGrowth:
    """The longest look-back over which `signal` grew in each of `rows`, which may repeat."""
    matrix = candidates.timeline.signals.get(signal)
    if matrix is None or not len(rows):
        return HiddenGrowth.nothing(len(rows))
    asked, places = np.unique(rows, return_inverse=True)
    seen = np.flatnonzero(~np.isnan(matrix[asked]).all(axis=1))
    longest = _longest(candidates, caution, signal, asked[seen], RangeExtremes(matrix[asked[seen]]))
    of_asked = HiddenGrowth.nothing(len(asked))
    of_asked.span[seen], of_asked.slope[seen], of_asked.gain[seen] = longest.span, longest.slope, longest.gain
    return of_asked.only(places)


def _longest(
    candidates: Candidates, caution: Caution, signal: Signal, rows: Indices, extremes: RangeExtremes
) -> HiddenGrowth:
    count, everyone = len(rows), np.arange(len(rows))
    found = HiddenGrowth.nothing(count)
    least = np.maximum(HEAP_SHARE * np.nan_to_num(candidates.runs.limit[rows]), 1.0)
    if signal is Signal.GOROUTINES_FLOOR:
        least = np.full(count, MANY_GOROUTINES)
    for share in LOOK_BACKS:
        spans = candidates.runs.fresh_ages[rows] * share
        values = window_floors(candidates.timeline, extremes, everyone, -spans, np.zeros(count), BLOCKS)
        known = np.mean(~np.isnan(values), axis=1) >= COVERAGE
        shapes = measure(values, spans)
        with np.errstate(invalid="ignore"):
            grows = (
                known
                & (found.span == 0)
                & (spans >= caution.short_growth)
                & (shapes.gain >= least)
                & (shapes.newest >= FACTOR * shapes.first)
                & (shapes.straightness >= STRAIGHT)
                & (shapes.late >= LATE)
                & (shapes.step <= STEP)
            )
        found.span[grows], found.slope[grows] = spans[grows], shapes.slope[grows]
        found.gain[grows] = shapes.gain[grows]
    return found
