"""What goes on in the whole fleet during one sweep, kept up to date as workloads are attended."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from controller.decision.situation import Fleet, Outbreak, UnderWay
from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload, WorkloadRef
from controller.policy.memory_policy import MemoryPolicy
from controller.reporting.incident import Incident
from controller.sweep.alerts import AlertBoard
from controller.sweep.judging import Covered

REMEMBERED = timedelta(hours=1)
"""How long a remediation counts towards the hour's."""


class FleetLedger:
    """Answers what goes on beside one workload. Made anew for every sweep, from what is written down."""

    def __init__(
        self,
        judged: Sequence[tuple[Covered, Judgement | None]],
        incidents: Sequence[Incident],
        workloads: Iterable[Workload],
        now: datetime,
        alerts: AlertBoard,
    ) -> None:
        living = {workload.uid: workload for workload in workloads}
        self._now = now
        self._alerts = alerts
        self._under_way: dict[str, UnderWay] = {}
        self._ordered: dict[str, tuple[str, datetime]] = {}
        self._marked: set[tuple[str, datetime]] = {
            (uid, at) for uid, one in living.items() if (at := one.remediated_before(now)) is not None
        }
        for incident in incidents:
            self.note(incident, living.get(incident.spec.workload_uid))
        self._outbreaks = _outbreaks(judged, incidents, now)

    def note(self, incident: Incident, workload: Workload | None) -> None:
        """Takes in what has become of an incident; `workload` is None where it is gone."""
        uid, order = incident.spec.workload_uid, incident.status.order
        if incident.replaces_replicas:
            self._under_way[uid] = _under_way(incident.spec.workload, workload)
        elif incident.open:
            self._under_way.pop(uid, None)
        if order is not None:
            self._ordered[incident.folder] = (uid, order.issued_at)
        else:
            self._ordered.pop(incident.folder, None)

    def beside(self, workload: Workload, policy: MemoryPolicy) -> Fleet:
        """The fleet as `workload` sees it."""
        others = {uid: one for uid, one in self._under_way.items() if uid != workload.uid}
        since = self._now - REMEMBERED
        remediated = self._marked.union(self._ordered.values())
        everywhere = self._outbreaks.get("", ())
        return Fleet(
            under_way=tuple(sorted(others.values(), key=lambda one: one.workload)),
            remediated_at=tuple(sorted(at for _, at in remediated if at > since)),
            alerts=self._alerts.of(policy),
            outbreaks=(*self._outbreaks.get(policy.key, ()), *everywhere),
        )


def _under_way(ref: WorkloadRef, workload: Workload | None) -> UnderWay:
    budgets = workload.disruption_budgets if workload else ()
    return UnderWay(
        workload=str(ref),
        namespace=ref.namespace,
        nodes=workload.nodes if workload else frozenset(),
        disruption_budgets=frozenset(budget.name for budget in budgets),
    )


def _outbreaks(
    judged: Sequence[tuple[Covered, Judgement | None]], incidents: Sequence[Incident], now: datetime
) -> Mapping[str, tuple[Outbreak, ...]]:
    """One for each policy's workloads by its key, and one for all of them by the empty one."""
    detected = {one.spec.workload_uid: one.leaking_since for one in incidents if one.open}
    counts: dict[str, int] = defaultdict(int)
    times: dict[str, list[datetime]] = defaultdict(list)
    for item, judgement in judged:
        if judgement is None or judgement.verdict is Verdict.INSUFFICIENT_DATA:
            continue
        for group in (item.policy.key, ""):
            counts[group] += 1
            if judgement.verdict is Verdict.LEAKING:
                times[group].append(detected.get(item.workload.uid) or now)
    return {
        group: (
            Outbreak(
                among=f"policy {group}" if group else "all policies",
                judged=counts[group],
                detected_at=tuple(sorted(found)),
            ),
        )
        for group, found in times.items()
    }
