"""
What every test needs to know of a container, and whether it can be judged at all.

Memory is resident anonymous memory where it is measured; otherwise the working set without active file
cache; otherwise the working set alone, which cannot say more than `Suspect`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.detection.lives import Lives, find_lives
from controller.detection.load import Load, load_of
from controller.detection.runs import Runs, find_runs, last_known
from controller.detection.sensitivity import Caution
from controller.detection.siblings import without_shared_rhythm
from controller.detection.timeline import Flags, Floats, RangeExtremes, Timeline
from controller.metrics.series import Matrix, Signal
from controller.policy.memory_policy import DetectionRules


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Containers of one timeline with their memory and lines. Arrays have one entry per container."""

    timeline: Timeline
    runs: Runs
    floors: Matrix
    tops: Matrix
    floor_extremes: RangeExtremes
    top_extremes: RangeExtremes
    danger_extremes: RangeExtremes
    """Tops of the working set: what the threshold is compared with."""
    used: Floats
    threshold: Floats
    """NaN where there is neither a limit nor a threshold in bytes."""
    critical: Floats
    """The critical line, never below the threshold; the threshold where there is no limit."""
    load: Load
    lives: Lives
    lag: float
    """Seconds between the newest block and now."""
    only_working_set: Flags
    measured: Flags
    stale: Flags
    too_young: Flags
    gappy: Flags

    @property
    def true_ages(self) -> Floats:
        """Seconds since each run really started or began anew; the age seen where no start is known."""
        ages = np.where(np.isfinite(self.runs.started), -self.runs.started, self.runs.ages)
        return np.minimum(ages, -self.runs.anew)

    @property
    def harmless_below(self) -> Floats:
        """What stops below this does no harm: nearly the limit; inf where there is none."""
        return np.where(np.isnan(self.runs.limit), np.inf, 0.97 * self.runs.limit)

    @property
    def judged(self) -> Flags:
        """Containers about which something can be said."""
        return ~(~self.measured | self.stale | self.too_young | self.gappy)


def gather(
    timeline: Timeline,
    groups: Sequence[str | None],
    rules: DetectionRules,
    caution: Caution,
    lag: float,
) -> Candidates:
    """Everything the tests ask, for every container of `timeline`."""
    floors, tops, only_working_set = memory_of(timeline)
    runs = find_runs(timeline, floors, caution.warm_up)
    danger = timeline.signal(Signal.WORKING_SET_TOP)
    danger = np.where(np.isnan(danger), tops, danger)
    load = load_of(timeline, floors)
    floors = load.without_rhythm(timeline, floors, runs.begins)
    tops = load.without_rhythm(timeline, tops, runs.begins)
    shortest = caution.share(1 / 8, 14)
    floor_extremes = RangeExtremes(floors)
    gone = lag - runs.newest > caution.stale_after
    own, tops = without_shared_rhythm(
        timeline, floors, tops, floor_extremes, groups, runs.begins, shortest, gone
    )
    if own is not floors:
        floors, floor_extremes = own, RangeExtremes(own)
    measured = np.asarray(~np.isnan(floors).all(axis=1))
    threshold = (
        runs.limit * rules.threshold.ratio
        if rules.threshold.ratio is not None
        else np.full(len(floors), np.nan)
    )
    if rules.threshold.value_bytes is not None:
        threshold = np.full(len(floors), float(rules.threshold.value_bytes))
    age = np.minimum(runs.ages, np.where(np.isfinite(runs.started), -runs.started, np.inf))
    return Candidates(
        timeline=timeline,
        runs=runs,
        floors=floors,
        tops=tops,
        floor_extremes=floor_extremes,
        top_extremes=RangeExtremes(tops, largest=True),
        danger_extremes=RangeExtremes(danger, largest=True),
        used=last_known(danger),
        threshold=threshold,
        critical=np.fmax(threshold, runs.limit * rules.critical_ratio),
        load=load,
        lives=find_lives(timeline, runs, floor_extremes, groups, caution),
        lag=lag,
        only_working_set=only_working_set,
        measured=measured,
        stale=measured & gone,
        too_young=measured & (age + lag < caution.shortest_run),
        gappy=measured & (runs.coverage < 0.4),
    )


def memory_of(timeline: Timeline) -> tuple[Matrix, Matrix, Flags]:
    """Floors and tops to judge growth by, and where only the working set is known."""
    floors = timeline.signal(Signal.RSS_FLOOR)
    tops = timeline.signal(Signal.RSS_TOP)
    without = np.asarray(np.isnan(floors).all(axis=1))
    if not without.any():
        return floors, tops, without
    cache = timeline.signal(Signal.ACTIVE_FILE)
    active = np.nan_to_num(cache)
    set_floors = np.maximum(timeline.signal(Signal.WORKING_SET_FLOOR) - active, 0)
    set_tops = np.maximum(timeline.signal(Signal.WORKING_SET_TOP) - active, 0)
    floors = np.where(without[:, None], set_floors, floors)
    tops = np.where(without[:, None], set_tops, tops)
    return floors, tops, without & np.isnan(cache).all(axis=1)
