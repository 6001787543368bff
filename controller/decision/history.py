"""What was done to a workload before: cooldown and budget arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationHistory:
    """The remediations of one workload, as incidents and its template remember them."""

    remediated_at: tuple[datetime, ...] = ()
    """Oldest first."""
    unacknowledged: str = ""
    """Name of the newest incident that ended `Failed` or `Escalated` and nobody has acknowledged."""

    @property
    def last(self) -> datetime | None:
        """The newest remediation."""
        return self.remediated_at[-1] if self.remediated_at else None

    def cooled_down_at(self, cooldown: timedelta) -> datetime | None:
        """When the cooldown after the newest remediation ends; None without one."""
        return self.last + cooldown if self.last else None

    def budget_returns_at(self, remediations: int, period: timedelta, now: datetime) -> datetime | None:
        """When the next remediation fits into the budget again; None while one fits now."""
        recent = [at for at in self.remediated_at if at > now - period]
        if len(recent) < remediations:
            return None
        return recent[-remediations] + period
