"""What the tests found, container by container, before it is put into words."""

from dataclasses import dataclass

import numpy as np

from controller.detection.timeline import Flags, Floats, Indices


def _no(count: int) -> Flags:
    return np.zeros(count, dtype=np.bool_)


@dataclass(slots=True, kw_only=True, eq=False)
class Findings:
    """
    The best evidence per container; every array has shape (containers,).

    `urgency` is the time to the threshold over the time allowed: at most 1 where it leaks.
    """

    leaking: Flags
    leaking_by_days: Flags
    leaking_by_lives: Flags
    suspect: Flags
    firm: Flags
    """A growth that leaks has outlived what stops by itself, so that it is acted on before the threshold."""
    by_day: Flags
    """The numbers are of days against days: the crest is the newest day's, its rhythm is in it."""
    bounded: Flags
    """Growth was seen that something bounded explains as well."""
    follows_load: Flags
    levelled_before: Flags
    follows_heap: Flags
    """Resident memory grows with a live heap that a soft limit hid until then."""
    hidden: Flags
    """Something grows that resident memory does not show."""
    goroutines: Flags
    """What grows hidden is the number of goroutines."""
    beside: Indices
    """One more than the place in `beside.CLASSES` of memory that grows beside the process; 0 for none."""
    urgency: Floats
    span: Floats
    slope: Floats
    slowest: Floats
    fastest: Floats
    """Between which the slope lies, where not the memory of the present run tells it; NaN where that does."""
    gain: Floats
    crest: Floats

    @property
    def leaks(self) -> Flags:
        """Where a leak is told."""
        return self.leaking | self.leaking_by_days | self.leaking_by_lives

    @property
    def told(self) -> Flags:
        """Where there is something to tell."""
        return self.leaks | self.suspect

    @classmethod
    def nothing(cls, count: int) -> "Findings":
        """No evidence yet for `count` containers."""
        return cls(
            leaking=_no(count),
            leaking_by_days=_no(count),
            leaking_by_lives=_no(count),
            suspect=_no(count),
            firm=_no(count),
            by_day=_no(count),
            bounded=_no(count),
            follows_load=_no(count),
            levelled_before=_no(count),
            follows_heap=_no(count),
            hidden=_no(count),
            goroutines=_no(count),
            beside=np.zeros(count, dtype=np.intp),
            urgency=np.full(count, np.inf),
            span=np.full(count, np.nan),
            slope=np.full(count, np.nan),
            slowest=np.full(count, np.nan),
            fastest=np.full(count, np.nan),
            gain=np.full(count, np.nan),
            crest=np.full(count, np.nan),
        )

    def keep(
        self,
        rows: Indices,
        urgency: Floats,
        *,
        span: Floats,
        slope: Floats,
        gain: Floats,
        crest: Floats,
        by_day: bool = False,
        between: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Keeps, for each of `rows` (which may repeat), what is more urgent than what is known.

        `between` are the slowest and the fastest pace, where not the memory of the present run tells them.
        """
        # Of several values for one row numpy keeps the last: the most urgent, or the first of equals.
        better = np.argsort(urgency, kind="stable")[::-1]
        better = better[urgency[better] < self.urgency[rows[better]]]
        chosen = rows[better]
        self.urgency[chosen] = urgency[better]
        self.span[chosen] = span[better]
        self.slope[chosen] = slope[better]
        self.gain[chosen] = gain[better]
        self.crest[chosen] = crest[better]
        self.by_day[chosen] = by_day
        slowest, fastest = (ends[better] for ends in between) if between else (np.nan, np.nan)
        self.slowest[chosen], self.fastest[chosen] = slowest, fastest
