"""What incidents and the workload's own template remember: history, durations, the episode that goes on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.decision.history import RemediationHistory
from controller.decision.outcome import HoldReason
from controller.inventory.request import Request, RequestKind
from controller.inventory.workload import Workload
from controller.reporting.incident import Incident, Phase, incident_name


def remediation_history(
    workload: Workload, incidents: Sequence[Incident], now: datetime
) -> RemediationHistory:
    """What incidents and the workload's own template remember."""
    carried_out = sorted(
        (one for one in incidents if one.status.order and one.status.receipt),
        key=lambda one: one.spec.opened_at,
    )
    times = {order.issued_at for one in carried_out if (order := one.status.order)}
    if (marked_at := workload.remediated_before(now)) is not None:
        times.add(marked_at)
    acknowledged = next((one for one in incidents if one.name == workload.acknowledged), None)
    counted_from = acknowledged.spec.opened_at if acknowledged else None
    return RemediationHistory(
        remediated_at=tuple(sorted(times)),
        unacknowledged=newest_failure(incidents),
        escalated_because=_escalated_because(workload, incidents),
        counted_from=counted_from,
        leaked_before=frozenset(
            run.container
            for one in carried_out
            if one.status.phase is Phase.RESOLVED
            for run in one.status.leaking_runs
        ),
        times_to_threshold=tuple(
            time
            for one in carried_out
            if (counted_from is None or one.spec.opened_at >= counted_from)
            and (time := one.time_to_threshold) is not None
        ),
    )


def newest_failure(incidents: Sequence[Incident]) -> str:
    """The name of the incident of the newest remediation that is over, where it failed; else empty."""
    acted = [one for one in incidents if one.ordered and not one.open]
    newest = max(acted, key=lambda one: one.spec.opened_at, default=None)
    return newest.name if newest and newest.status.phase is Phase.FAILED else ""


def _escalated_because(workload: Workload, incidents: Sequence[Incident]) -> HoldReason | None:
    """Why the open incident waits for a person who has not acknowledged it yet."""
    for one in incidents:
        if one.open and one.status.escalated_because and one.name != workload.acknowledged:
            return one.status.escalated_because
    return None


def pending_requests(
    workload: Workload, incidents: Sequence[Incident], history: RemediationHistory, now: datetime
) -> tuple[Request, ...]:
    """What people asked for and have not got: no remediation since, no files under the request's label."""
    labels = {file.label for incident in incidents for file in incident.status.evidence}

    def answered(request: Request) -> bool:
        if request.kind is RequestKind.CAPTURE:
            return request.label in labels
        return history.last is not None and history.last >= request.at

    return tuple(one for one in workload.requests if one.valid_at(now) and not answered(one))


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
