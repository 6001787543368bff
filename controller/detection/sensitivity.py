"""
How much evidence is enough: every knob of the detector in one place.

Durations inside the detector are shares of the policy's lookback, so that a short lookback is the same
detector on a faster clock. Only the day is a day.
"""

from dataclasses import dataclass, replace

import numpy as np

from controller.detection.timeline import Flags, Floats
from controller.policy.memory_policy import DetectionRules, Sensitivity

DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    How long a time to the threshold is still short, as a multiple of the time the growth has lasted.

    The optimal-stopping rule: a healthy growth of age D ends within a further D about as often as not, and
    waiting costs nothing while the threshold is far. So the multiple is small while shapes that end by
    themselves (a warm-up, the rising limb of a day, a long collection tooth) could still explain the growth,
    and rises with each of them that the growth has outlived.
    """

    short: float = 0.35
    """Growth shorter than a tenth of the lookback."""
    first_day: float = 0.5
    """Straight growth that has not outlived a day."""
    first_day_bent: float = 0.2
    """Growth that has not outlived a day and is not straight."""
    within_run: float = 0.35
    """Growth of less than a day that began inside an older run."""
    second_day: float = 0.9
    third_day: float = 1.4
    week: float = 4.0
    """Growth that has outlived a weekend."""
    same_hour: float = 0.8
    """Growth of the same hour of successive days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the shape of growth has to be before its patience is asked."""

    straightness: float = 0.93
    straightness_first_day: float = 0.96
    straight: float = 0.985
    """From here a growth of less than a day counts as straight."""
    late: float = 0.55
    late_first_day: float = 0.70
    step: float = 0.34
    fall: float = 0.12
    walk: float = 4.0
    gain_of_floor: float = 0.05
    gain_of_limit: float = 0.01
    leak_gain_of_goal: float = 0.10
    record: float = 0.25
    coverage: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """The knobs for one policy: durations in seconds, made from its lookback."""

    lookback: float
    block_seconds: float
    minimum_age: float
    patience: Patience = Patience()
    gates: Gates = Gates()

    def share(self, fraction: float, samples: int = 2) -> float:
        """`fraction` of the lookback, but never less than `samples` blocks."""
        return max(self.lookback * fraction, samples * self.block_seconds)

    @property
    def warm_up(self) -> float:
        """What is ignored after a start (10 min of 48 h)."""
        return self.share(1 / 288)

    @property
    def shortest_run(self) -> float:
        """The youngest run that can be judged (1.5 h of 48 h), or the policy's minimum age."""
        return max(self.share(1 / 32, 14), self.minimum_age)

    @property
    def shortest_growth(self) -> float:
        """The shortest growth that is looked at (1.5 h of 48 h)."""
        return self.share(1 / 32, 14)

    @property
    def short_growth(self) -> float:
        """Below this, growth is short (5 h of 48 h)."""
        return self.share(5 / 48, 16)

    @property
    def stale_after(self) -> float:
        """A newest sample older than this is no news (30 min of 48 h)."""
        return self.share(1 / 96, 3)

    @property
    def quiet_after_limit_change(self) -> float:
        """A changed limit moves caps that follow it; so long nothing is called a leak (12 h of 48 h)."""
        return self.share(1 / 4)

    def allowed(self, span: Floats, age: Floats, straight: Flags, late: Floats) -> Floats:
        """The multiple for growth of `span` seconds in runs of `age` seconds; shapes alike."""
        patience = self.patience
        began_within = span < 0.75 * age
        outlived_day = span >= 28 / 24 * DAY
        first_day = np.where(straight, patience.first_day, patience.first_day_bent)
        seen_a_day = age >= 26 / 24 * DAY
        within = np.where(
            straight & (span >= self.share(7 / 48)) & self._knows(age, seen_a_day), patience.within_run, 0.0
        )
        young = np.where(began_within, within, first_day)
        short = np.where(began_within, 0.0, patience.short)
        multiple = np.where(span < self.short_growth, short, young)
        multiple = np.where(outlived_day, patience.second_day, multiple)
        multiple = np.where(span >= 50 / 24 * DAY, patience.third_day, multiple)
        multiple = np.where(span >= 6.6 * DAY, patience.week, multiple)
        return np.asarray(np.where(outlived_day & (late < 0.7), 0.5 * multiple, multiple))

    def _knows(self, age: Floats, seen_a_day: Flags) -> Flags:
        """Whether the run is old enough to know what is usual in it: a day, or half of a short lookback."""
        return seen_a_day | (age >= 0.5 * self.lookback) if self.lookback < DAY else seen_a_day


def caution_for(rules: DetectionRules, block_seconds: float) -> Caution:
    """The knobs that `rules` ask for."""
    caution = Caution(
        lookback=rules.lookback.total_seconds(),
        block_seconds=block_seconds,
        minimum_age=rules.minimum_age.total_seconds(),
    )
    match rules.sensitivity:
        case Sensitivity.BALANCED:
            return caution
        case Sensitivity.CONSERVATIVE:
            return replace(caution, patience=scaled(caution.patience, 0.5))
        case Sensitivity.EAGER:
            return replace(caution, patience=scaled(caution.patience, 1.8))


def scaled(patience: Patience, factor: float) -> Patience:
    """Every multiple of `patience` times `factor`: the one knob between lead time and false alarms."""
    return Patience(
        short=patience.short * factor,
        first_day=patience.first_day * factor,
        first_day_bent=patience.first_day_bent * factor,
        within_run=patience.within_run * factor,
        second_day=patience.second_day * factor,
        third_day=patience.third_day * factor,
        week=patience.week * factor,
        same_hour=patience.same_hour * factor,
    )
