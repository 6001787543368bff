"""What is true about a generated or recorded container, and the rule for *undecidable*.

The rule is explained for people in README.md; `undecidable_because` is the same rule in code. It looks
at what the generator knows (the unbounded part of the memory, the bounded part, what was recorded),
never at a detector.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.70
CRITICAL = 0.85
MINIMUM_GROWTH_HOURS = 3.0
MINIMUM_LATE_GROWTH_HOURS = 6.0
MINIMUM_HISTORY_HOURS = 24.0
MINIMUM_GAIN = 0.10
MINIMUM_LATE_RATE = 0.4
GAIN_PER_SWING = 1.5
PERIODS_SEEN = 1.5
LIVES_THAT_PROVE = 4


class Truth(StrEnum):
    """What a perfect judge who knows the process would write down."""

    LEAK = "leak"
    HEALTHY = "healthy"
    UNDECIDABLE = "undecidable"
    FUTILE = "restart-cannot-help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The unbounded part of one container's memory, as the generator made it. Hours are hours of the record.

    `gain` (n,) is the unbounded part in shares of the limit on the grid `hour` (n,); `swing` the peak-
    to-peak size of the bounded part (season, teeth, batches) in the same shares, `period_hours` its
    longest period.
    """

    hour: NDArray[np.float64]
    gain: NDArray[np.float64]
    onset_hour: float
    birth_hour: float
    crossing_hour: float | None
    swing: float = 0.0
    period_hours: float = 0.0
    swing_is_explained: bool = False
    limit_is_known: bool = True
    is_visible: bool = True
    rising_lives: int = 0


def undecidable_because(growth: Growth) -> str | None:
    """Say why no honest judge could tell this growth from a bounded one before the crossing; None if
    one could.
    """
    if not growth.limit_is_known:
        return "no limit: there is nothing to cross"
    if not growth.is_visible:
        return "the recorded series do not show what grows"
    if growth.rising_lives >= LIVES_THAT_PROVE:
        return None
    if growth.crossing_hour is None:
        return "never crosses the threshold in the record"
    return _too_little_growth(growth) or _bounded_look_alike(growth)


def _too_little_growth(growth: Growth) -> str | None:
    lasted = growth.crossing_hour - growth.onset_hour
    if lasted < MINIMUM_GROWTH_HOURS:
        return "crosses sooner than a warm-up or a batch ends"
    history = growth.onset_hour - growth.birth_hour
    if history > 1.0 and (lasted < MINIMUM_LATE_GROWTH_HOURS or history < MINIMUM_HISTORY_HOURS):
        return "began inside a life whose usual day was not seen, or too shortly before the crossing"
    if _gain_between(growth, growth.onset_hour, growth.crossing_hour) < MINIMUM_GAIN:
        return "gained too little of the limit before the crossing"
    return None


def _bounded_look_alike(growth: Growth) -> str | None:
    lasted = growth.crossing_hour - growth.onset_hour
    gained = _gain_between(growth, growth.onset_hour, growth.crossing_hour)
    late = _gain_between(growth, growth.crossing_hour - lasted / 4, growth.crossing_hour)
    if late * 4 < MINIMUM_LATE_RATE * gained:
        return "bends like something that fills up"
    outgrown = gained >= GAIN_PER_SWING * growth.swing
    outlived = lasted >= PERIODS_SEEN * growth.period_hours and gained >= growth.swing / 2
    if not (outgrown or outlived or growth.swing_is_explained):
        return "smaller than a swing whose period was not seen out"
    return None


def _gain_between(growth: Growth, first_hour: float, last_hour: float) -> float:
    ends = np.interp([first_hour, last_hour], growth.hour, growth.gain)
    return float(ends[1] - ends[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The truth about one unit: one container, or all short-lived pods of one workload that are judged
    together.

    Times are epoch seconds. `crossing` is when the working set crosses the threshold, `critical` 85 % of
    the limit (None: not in the record). `deadline` is the last moment at which finding it still counts.
    `classes` are the answers accepted as the class of growth; empty where the recorded series do not
    show it.
    """

    containers: tuple[tuple[str, str, str], ...]
    truth: Truth
    because: str
    onset: float | None = None
    crossing: float | None = None
    critical: float | None = None
    deadline: float | None = None
    classes: tuple[str, ...] = ()


def first_crossing(
    time: NDArray[np.float64],
    working_set: NDArray[np.float64],
    limit: NDArray[np.float64],
    share: float,
    since: float = -np.inf,
) -> float | None:
    """Return the first time at or after `since` at which the 15-minute median of working set / limit
    reaches `share`.

    A median, because one sample over the line is a spike and not a crossing; 15 minutes, because longer
    ones would forgive a detector that speaks late. Missing samples (NaN) are left out.
    """
    known = np.isfinite(working_set) & np.isfinite(limit) & (limit > 0)
    at, ratio = time[known], working_set[known] / limit[known]
    if len(at) < 3:
        return None
    width = max(1, round(900 / np.median(np.diff(at))))
    if len(ratio) < width:
        return None
    medians = np.median(np.lib.stride_tricks.sliding_window_view(ratio, width), axis=1)
    over = np.flatnonzero((medians >= share) & (at[width - 1 :] >= since))
    return float(at[width - 1 + over[0]]) if len(over) else None
