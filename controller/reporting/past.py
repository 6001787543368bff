"""What incidents and the workload's own template remember: history, durations, the episode that goes on."""

from collections.abc import Sequence
from datetime import timedelta

from controller.decision.history import RemediationHistory
from controller.inventory.workload import Workload
from controller.reporting.incident import Incident, Phase, incident_name


def remediation_history(workload: Workload, incidents: Sequence[Incident]) -> RemediationHistory:
    """What incidents and the workload's own template remember."""
    times = {order.issued_at for one in incidents if (order := one.status.order) and one.status.receipt}
    if workload.remediated_at is not None:
        times.add(workload.remediated_at)
    acted = [one for one in incidents if one.ordered and not one.open]
    newest = max(acted, key=lambda one: one.spec.opened_at, default=None)
    return RemediationHistory(
        remediated_at=tuple(sorted(times)),
        unacknowledged=newest.name if newest and newest.status.phase is Phase.FAILED else "",
    )


def last_duration(incidents: Sequence[Incident]) -> timedelta | None:
    """How long the newest finished remediation took until its replicas were ready."""
    spans = [
        (one.status.order.issued_at, one.status.rolled_out_at)
        for one in incidents
        if one.status.order and one.status.rolled_out_at
    ]
    if not spans:
        return None
    issued_at, rolled_out_at = max(spans)
    return rolled_out_at - issued_at


def current_incident(
    workload: Workload, incidents: Sequence[Incident], history: RemediationHistory
) -> Incident | None:
    """The open incident; else the closed one this episode's name belongs to."""
    name = incident_name(workload, history.last)
    opened = next((one for one in incidents if one.open), None)
    return opened or next((one for one in incidents if one.name == name and not one.ordered), None)
