"""What was done to a workload before: the arithmetic of cooldown, budget and breaker."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from controller.decision.outcome import HoldReason

HALVED = 0.5
"""A run that reaches the threshold in less than half the time of the one before is a strike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationHistory:
    """The remediations of one workload, as incidents and its template remember them."""

    remediated_at: tuple[datetime, ...] = ()
    """Oldest first."""
    unacknowledged: str = ""
    """Name of the newest incident that ended `Failed` and nobody has acknowledged."""
    escalated_because: HoldReason | None = None
    """Why the open incident is escalated; None where it is not, or where a person has acknowledged it."""
    counted_from: datetime | None = None
    """What was done before the incident that a person acknowledged last no longer counts."""
    leaked_before: frozenset[str] = frozenset()
    """Containers that were found to leak and whose memory came down by a remediation."""
    times_to_threshold: tuple[timedelta, ...] = ()
    """How long each run took from its start to the threshold before it was remediated, oldest first."""

    @property
    def last(self) -> datetime | None:
        """The newest remediation."""
        return self.remediated_at[-1] if self.remediated_at else None

    def cooled_down_at(self, cooldown: timedelta) -> datetime | None:
        """When the cooldown after the newest remediation ends; None without one."""
        return self.last + cooldown if self.last else None

    def remediations_since(self, since: datetime) -> int:
        """How many remediations after `since` count towards a budget."""
        begin = max(since, self.counted_from or since)
        return sum(at > begin for at in self.remediated_at)

    def strikes(self, newest: timedelta | None) -> int:
        """
        How many of the newest runs in a row took less than half the time of the run before to the threshold.

        `newest` is the time to the threshold of the run that goes on; None where it is not known.
        """
        if newest is None:
            return 0
        runs = (*self.times_to_threshold, newest)
        strikes = 0
        for earlier, later in reversed(tuple(pairwise(runs))):
            if later >= HALVED * earlier:
                break
            strikes += 1
        return strikes
