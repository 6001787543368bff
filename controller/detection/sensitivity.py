"""
How much evidence is enough: every knob of the detector in one place.

Durations inside the detector are shares of the policy's lookback, so that a short lookback is the same
detector on a faster clock. Only the day is a day.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from controller.detection.timeline import Flags, Floats
from controller.policy.memory_policy import DetectionRules, Sensitivity

DAY = 86400.0

DAY_OUTLIVED = 28 / 24 * DAY
"""From here growth is no limb of a day any more."""

EAGER_FIRST_DAY = 0.4
"""The patience of `Eager` on the first day: a longer lead for growth that may still stop by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    How long a time to the threshold is still short, as a multiple of the time the growth has lasted.

    The optimal-stopping rule: a healthy growth of age D ends within a further D about as often as not, and
    waiting costs nothing while the threshold is far. So the multiple is small while shapes that end by
    themselves (a warm-up, the rising limb of a day, a long collection tooth) could still explain the growth,
    and rises with each of them that the growth has outlived.
    """

    first_day: float = 0.15
    """
    Growth that has not outlived a day: since the start of the run, or straight inside a run of which a day
    before is known.
    """
    within_short_lookback: float = 0.75
    """Growth since the start on a lookback of less than a day, where no daily rhythm plays a part."""
    second_day: float = 1.0
    third_day: float = 1.2
    week: float = 4.0
    """Growth that has outlived a weekend."""
    within_second_day: float = 0.8
    """Growth of more than a day that began inside a run of which a day before is known."""
    unknown_second_day: float = 0.15
    """Growth of more than a day that began inside a run of which no day before is known."""
    unknown_third_day: float = 0.7
    behind_the_line: float = 0.05
    """Growth of ten hours and more that is already over the threshold, against the critical line."""
    same_hour: float = 0.5
    """Growth of the same hour of successive days, since the start of the run."""
    second_day_compared: float = 0.25
    """The same while the second day goes on, as a multiple of the hours of it that were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the shape of growth has to be before its patience is asked."""

    straightness: float = 0.93
    straightness_first_day: float = 0.96
    straight: float = 0.985
    """From here a growth of less than a day counts as straight."""
    late: float = 0.55
    late_first_day: float = 0.70
    step: float = 0.25
    step_first_day: float = 0.34
    fall: float = 0.12
    walk: float = 4.0
    gain_of_floor: float = 0.05
    gain_of_limit: float = 0.01
    leak_gain_of_goal: float = 0.20
    """As a share of the line it is measured against: less is how memory drifts,"""
    leak_gain_of_way: float = 0.5
    """or this share of the whole way from where it began, once it has outlived a day (all of it before),"""
    least_leak_gain_of_goal: float = 0.14
    """and never less: a tenth of the limit, where the line is at 0.7 of it."""
    nats: float = 0.4
    """Growth must explain the floors better than every bounded rival by this much,"""
    nats_doubtful: float = 1.7
    """and by this much where they are bent, or cut too coarsely to tell a stair from a line."""
    bent: float = 0.97
    accelerates: float = 1.15
    """From this ratio of the newest slope to the whole one, growth of less than a day may be a day's limb."""
    newest_eighth: float = 0.5
    newest_sixteenth: float = 0.25
    """The pace of the newest stretch, as a share of the whole, below which growth has stalled."""
    record: float = 0.25
    coverage: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """The knobs for one policy: durations in seconds, made from its lookback."""

    lookback: float
    block_seconds: float
    minimum_age: float
    firm_after_days: float = 36 / 24
    """Younger growth may be a fill or a limb of the day: it is acted on when the critical line is near,"""
    firm_gain: float = 1.5
    """
    unless it has added so many times what was there before. Growth that bends is never firm. With 0 days all
    growth is.
    """
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
    def shortest_leak(self) -> float:
        """Growth shorter than this ends as often as not, and is never called a leak (3 h of 48 h)."""
        return self.share(1 / 16, 14)

    @property
    def stale_after(self) -> float:
        """A newest sample older than this is no news (30 min of 48 h)."""
        return self.share(1 / 96, 3)

    @property
    def quiet_after_limit_change(self) -> float:
        """A changed limit moves caps that follow it; so long nothing is called a leak (12 h of 48 h)."""
        return self.share(1 / 4)

    @property
    def _always_firm(self) -> bool:
        return self.lookback < DAY or self.firm_after_days == 0

    def firm(self, span: Floats, gain: Floats, first: Floats, *, sound: Flags) -> Flags:
        """
        Growth that is acted on at the threshold: all of it where no day plays a part; shape (rows,).

        `span` and `gain` are those of the moment at which it met the threshold: what was not firm then does
        not become so by standing above it. What is not `sound` bends, or always stood above.
        """
        outlived, outgrew = span >= self.firm_after_days * DAY, gain >= self.firm_gain * first
        return np.asarray(self._always_firm | (sound & (outlived | outgrew)))

    def firm_by_days(self, span: Floats) -> Flags:
        """The same for growth by days: one day more, with which the others are compared; shape (rows,)."""
        return np.asarray(self._always_firm | (span >= (self.firm_after_days + 1) * DAY))

    def behind_the_line(self, lasted: Floats) -> Floats:
        """The multiple for growth that crossed the threshold before it could be told; shape (rows,)."""
        return np.where(lasted >= self.share(10 / 48), self.patience.behind_the_line, 0.0)

    def persists(self, spans: Floats) -> Floats:
        """
        For how long growth must have passed every test: chance passes them for a look or two.

        A twenty-fourth of the time it has grown, at most 45 min of 48 h; shape like `spans`.
        """
        return np.minimum(spans / 24, self.share(1 / 64))

    def allowed(self, growing: "Growing") -> Floats:
        """The multiple for each growth; shape (rows,)."""
        patience = self.patience
        span = growing.span
        usual = growing.known_before >= (DAY if self.lookback >= DAY else 0.5 * self.lookback)
        within_day = usual & (span >= self.share(7 / 48)) & growing.straight
        return np.select(
            [
                span >= 6.6 * DAY,
                (span >= 50 / 24 * DAY) & (growing.since_start | usual),
                span >= 50 / 24 * DAY,
                (span >= DAY_OUTLIVED) & growing.since_start,
                (span >= DAY_OUTLIVED) & usual,
                span >= DAY_OUTLIVED,
                span < self.shortest_leak,
                growing.since_start & (self.lookback < DAY),
                growing.since_start & ~growing.start_known,
                growing.since_start | within_day,
            ],
            [
                patience.week,
                patience.third_day,
                patience.unknown_third_day,
                patience.second_day,
                patience.within_second_day,
                patience.unknown_second_day,
                0.0,
                patience.within_short_lookback,
                0.0,
                patience.first_day,
            ],
            0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Growing:
    """What the patience depends on; shapes (rows,)."""

    span: Floats
    """Seconds it has grown for."""
    since_start: Flags
    """It grows since its start, as far as anybody can tell."""
    start_known: Flags
    """A start time or a restart says when it started."""
    known_before: Floats
    """Seconds of the same run that were seen before the growth began."""
    straight: Flags


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
            return replace(
                caution, patience=scaled(caution.patience, 0.5), firm_after_days=50 / 24, firm_gain=3.0
            )
        case Sensitivity.EAGER:
            patience = replace(scaled(caution.patience, 1.8), first_day=EAGER_FIRST_DAY)
            return replace(caution, patience=patience, firm_after_days=0.0)


def scaled(patience: Patience, factor: float) -> Patience:
    """Every multiple of `patience` times `factor`: the one knob between lead time and false alarms."""
    return Patience(**{field.name: factor * getattr(patience, field.name) for field in fields(patience)})
