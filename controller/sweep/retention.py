"""How long closed incidents are kept: at least as long as budgets count back, then by number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.ports import Records
from controller.reporting.incident import Incident, Phase


def still_needed(incidents: Sequence[Incident]) -> tuple[Incident, ...]:
    """
    Those that are open, and those that failed and wait for an acknowledgement.

    Whoever acknowledged a later incident of the same workload need not acknowledge the earlier ones.
    """
    acknowledged: dict[str, datetime] = {}
    for one in incidents:
        if one.acknowledged:
            uid = one.spec.workload_uid
            acknowledged[uid] = max(one.spec.opened_at, acknowledged.get(uid, one.spec.opened_at))
    return tuple(one for one in incidents if one.open or _waits(one, acknowledged.get(one.spec.workload_uid)))


def _waits(incident: Incident, acknowledged_up_to: datetime | None) -> bool:
    failed = incident.status.phase is Phase.FAILED
    return failed and (acknowledged_up_to is None or incident.spec.opened_at > acknowledged_up_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The limits; open incidents and those that wait for an acknowledgement are never removed."""

    minimum_age: timedelta = timedelta(days=31)
    """The longest budget period a policy may have."""
    keep_per_workload: int = 20

    async def prune(self, records: Records, incidents: Sequence[Incident], now: datetime) -> None:
        """Removes what is past its retention."""
        for incident in self.expired(incidents, now):
            await records.remove(incident)

    def expired(self, incidents: Sequence[Incident], now: datetime) -> tuple[Incident, ...]:
        """Closed incidents beyond the number kept per workload, old enough to be forgotten."""
        by_workload: dict[str, list[Incident]] = defaultdict(list)
        for incident in incidents:
            if incident.status.closed_at is not None and incident.status.phase is not Phase.FAILED:
                by_workload[incident.spec.workload_uid].append(incident)
        return tuple(
            incident
            for closed in by_workload.values()
            for incident in sorted(closed, key=lambda one: one.spec.opened_at)[: -self.keep_per_workload]
            if now - incident.spec.opened_at > self.minimum_age
        )
