"""The steps an incident can take. Each returns a new incident; none of them does anything."""

from dataclasses import replace
from datetime import datetime

from controller.decision.outcome import Action, Decision, Hold, HoldReason
from controller.decision.wording import growth_text
from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.request import Request
from controller.inventory.workload import Workload
from controller.policy.memory_policy import MemoryPolicy
from controller.remediation.order import Order, Receipt
from controller.reporting.incident import (
    ACKNOWLEDGED,
    CUT_SHORT,
    ORDER_VOIDED,
    AssessmentRecord,
    DiagnosisRecord,
    Incident,
    IncidentSpec,
    IncidentStatus,
    LeakingRun,
    Notified,
    Phase,
    PolicyRef,
    TimelineEntry,
    incident_name,
)
from controller.reporting.ledger import settle
from controller.reporting.material import crossing_moved, moved
from controller.reporting.next_steps import after_failure
from controller.verification.recovery import Recovery, RecoveryOutcome

TIMELINE_LENGTH = 64
"""Entries kept: the first, and the newest after it."""

LEAKING_RUNS = 256
"""Runs kept that were found to leak. One that is not remembered is only suspected when it is doubtful."""

ESCALATES = frozenset({HoldReason.BUDGET_SPENT, HoldReason.RESTART_INEFFECTIVE})
"""Holds that time does not end: a person is told, and acknowledges the incident."""


def open_incident(
    policy: MemoryPolicy,
    workload: Workload,
    judgement: Judgement,
    last_remediation: datetime | None,
    now: datetime,
) -> Incident:
    """A new incident for `workload`, in the workload's namespace."""
    incident = Incident(
        name=incident_name(workload, last_remediation),
        namespace=workload.ref.namespace,
        spec=IncidentSpec(
            policy=PolicyRef(
                namespace=policy.own_namespace, name=policy.name, uid=policy.uid, generation=policy.generation
            ),
            workload=workload.ref,
            workload_uid=workload.uid,
            opened_at=now,
        ),
        status=IncidentStatus(workload_text=f"{workload.ref.kind}/{workload.ref.name}"),
    )
    return detected(incident, judgement, now)


def detected(incident: Incident, judgement: Judgement, now: datetime) -> Incident:
    """Growth is found: the incident is open (again)."""
    worst = judgement.worst
    status = replace(
        incident.status,
        phase=Phase.DETECTED,
        because=worst.verdict.value,
        message=worst.message,
        assessment=_record(judgement),
        leaking_runs=_leaking_runs(incident, judgement, now),
        growth_text=_growth_text(judgement),
        gates=(),
        escalated_because=None,
        closed_at=None,
    )
    return _noted(replace(incident, status=status), now, worst.verdict.value, worst.message)


def judged(incident: Incident, judgement: Judgement, now: datetime) -> Incident:
    """The newest judgement, where it tells something new; the same incident otherwise."""
    old, new = incident.status.assessment, _record(judgement)
    runs = _leaking_runs(incident, judgement, now)
    if old is not None and not _differs(old, new) and runs == incident.status.leaking_runs:
        return incident
    status = replace(incident.status, assessment=new, leaking_runs=runs, growth_text=_growth_text(judgement))
    told = replace(incident, status=status)
    if old is not None and old.verdict is new.verdict:
        return told
    return _noted(told, now, new.verdict.value, new.message)


def requested(incident: Incident, request: Request, now: datetime) -> Incident:
    """Somebody asks by hand; the same incident where that stands there already."""
    what = f"{request.kind.value.capitalize()}Requested"
    if any(entry.what == what and entry.message == request.text[:512] for entry in incident.status.timeline):
        return incident
    # What held it before is no answer to this: the decision that follows is written anew.
    status = replace(incident.status, phase=Phase.DETECTED, because=what, message=request.text, gates=())
    return _noted(replace(incident, status=status), now, what, request.text)


def acknowledged(incident: Incident, because: str, now: datetime) -> Incident:
    """A person has looked at it."""
    return _noted(incident, now, ACKNOWLEDGED, because)


def captured(incident: Incident, files: tuple[KeptFile, ...], label: str, now: datetime) -> Incident:
    """What a capture brought, failures included; one that fails as the last one did tells nothing new."""
    kept = [file for file in files if file.uri]
    what = "ProfilesKept" if kept else "CaptureFailed"
    message = (
        f"{label}: {', '.join(file.kind for file in kept)}"
        if kept
        else "; ".join(file.failure for file in files) or "no replica to take a profile from"
    )
    evidence = _merged(incident, files)
    if not kept and _last_capture(incident) == (what, message[:512]):
        return replace(incident, status=replace(incident.status, evidence=evidence))
    status = replace(incident.status, phase=Phase.CAPTURED, because=what, message=message, evidence=evidence)
    return _noted(replace(incident, status=status), now, what, message)


def _last_capture(incident: Incident) -> tuple[str, str]:
    """What came of the newest capture, and the words for it."""
    captures = [one for one in incident.status.timeline if one.what in ("ProfilesKept", "CaptureFailed")]
    return (captures[-1].what, captures[-1].message) if captures else ("", "")


def has_context(incident: Incident, label: str) -> bool:
    """Whether what the platform tells was asked for already, with whatever result."""
    return any(file.kind is FileKind.CONTEXT and file.label == label for file in incident.status.evidence)


def context_kept(incident: Incident, files: tuple[KeptFile, ...]) -> Incident:
    """What the platform tells of the replica, as far as it could be had."""
    return replace(incident, status=replace(incident.status, evidence=_merged(incident, files)))


def diagnosed(incident: Incident, diagnosis: DiagnosisRecord | None) -> Incident:
    """What the evidence says; an older diagnosis stays where there is no newer one."""
    if diagnosis is None:
        return incident
    return replace(incident, status=replace(incident.status, diagnosis=diagnosis))


def attempted(judgement: Judgement, label: str, failure: str, now: datetime) -> tuple[KeptFile, ...]:
    """The record of a capture that was not made, with why."""
    return (
        KeptFile(
            kind=FileKind.HEAP,
            label=label,
            replica=judgement.worst.key.pod,
            container=judgement.worst.key.container,
            captured_at=now,
            failure=failure,
        ),
    )


def decided(incident: Incident, decision: Decision, now: datetime) -> Incident:
    """What was decided; the same incident where nothing about it is new."""
    if decision.action is Action.NONE:
        return incident
    phase = _phase_of_hold(decision)
    old = incident.status
    same_gates = _told(old.gates) == _told(decision.holds)
    if old.phase is phase and old.because == decision.reason.value and same_gates:
        return incident
    escalating = next((reason for reason in ESCALATES if reason is decision.reason), None)
    status = replace(
        old,
        phase=phase,
        because=decision.reason.value,
        message=decision.message,
        gates=decision.holds,
        escalated_because=escalating or old.escalated_because,
    )
    return _noted(replace(incident, status=status), now, decision.reason.value, decision.message)


def _told(holds: tuple[Hold, ...]) -> list[tuple[HoldReason, str]]:
    """What makes a hold another one: messages move with every sweep, but a command must be right."""
    return [(hold.reason, hold.message if hold.reason in _APPROVALS else "") for hold in holds]


_APPROVALS = (HoldReason.APPROVAL_REQUIRED, HoldReason.APPROVAL_VOID)


def _phase_of_hold(decision: Decision) -> Phase:
    if decision.reason in (HoldReason.OBSERVE_ONLY, HoldReason.CAPTURE_ONLY):
        return Phase.OBSERVED
    return Phase.ESCALATED if decision.reason in ESCALATES else Phase.HELD


def ordered(incident: Incident, order: Order, because: str, chosen_because: str, now: datetime) -> Incident:
    """The act is written down, before it is done, with why it is done and why so."""
    approved = f", approved by {order.approved_by}" if order.approved_by else ""
    status = replace(
        incident.status,
        phase=Phase.RESTARTING,
        because=because,
        message=f"{_what(order)}: {chosen_because}{approved}",
        gates=(),
        escalated_because=None,
        order=order,
        receipt=None,
    )
    return _noted(replace(incident, status=status), now, "RestartOrdered", status.message)


def order_voided(incident: Incident, message: str, now: datetime) -> Incident:
    """The ordered act was not done and will not be: it is decided anew."""
    status = replace(
        incident.status, phase=Phase.HELD, because=ORDER_VOIDED, message=message, order=None, receipt=None
    )
    return _noted(replace(incident, status=status), now, ORDER_VOIDED, message)


def outcome_unknown(incident: Incident, message: str, now: datetime) -> Incident:
    """Nobody knows whether the act was done: it is found out, and not repeated meanwhile."""
    reason = HoldReason.OUTCOME_UNKNOWN.value
    if incident.status.because == reason:
        return incident
    status = replace(incident.status, phase=Phase.HELD, because=reason, message=message)
    return _noted(replace(incident, status=status), now, reason, message)


def carried_out(incident: Incident, receipt: Receipt, now: datetime) -> Incident:
    """The platform has done what was ordered."""
    order = incident.status.order
    message = _what(order) if order else ""
    status = replace(incident.status, phase=Phase.RESTARTING, message=message, receipt=receipt)
    return _noted(replace(incident, status=status), now, "RestartStarted", receipt.outcome.value)


def progressed(incident: Incident, gone: int, waits_for: str) -> Incident:
    """How far replacing one replica after another is; the same incident where nothing is new."""
    order = incident.status.order
    if order is None:
        return incident
    message = f"{_what(order)}: {gone} of {len(order.replicas)} gone"
    message += f"; waits for: {waits_for}" if waits_for else ""
    if message == incident.status.message:
        return incident
    return replace(incident, status=replace(incident.status, message=message[:4096]))


def cut_short(incident: Incident, order: Order, why: str, now: datetime) -> Incident:
    """No further replica is begun: those that are gone are watched, the others are decided anew."""
    status = replace(incident.status, order=order, message=f"no further replica is replaced: {why}")
    return _noted(replace(incident, status=status), now, CUT_SHORT, status.message)


def _what(order: Order) -> str:
    """The act in a few words: `Replace of Deployment shop/api (api-1)`."""
    names = ", ".join(order.replicas[:3]) + (" …" if len(order.replicas) > 3 else "")
    return f"{order.mechanism} of {order.workload}" + (f" ({names})" if names else "")


def rolled_out(incident: Incident, now: datetime) -> Incident:
    """Every replica is new and ready: from here on it is watched."""
    status = replace(
        incident.status,
        phase=Phase.VERIFYING,
        because=RecoveryOutcome.SOAKING.value,
        message="all replicas are new and ready",
        rolled_out_at=now,
    )
    return _noted(replace(incident, status=status), now, "RolledOut", status.message)


def recovered(incident: Incident, recovery: Recovery, workload: Workload | None, now: datetime) -> Incident:
    """
    The recovery is final: the incident is closed with its ledger, and tells a person what to do if it failed.

    `workload` as it was checked; None where it is gone.
    """
    succeeded = recovery.outcome is RecoveryOutcome.RECOVERED
    status = replace(
        incident.status,
        phase=Phase.RESOLVED if succeeded else Phase.FAILED,
        because=recovery.outcome.value,
        message="; ".join(filter(None, (recovery.message, after_failure(incident, recovery.outcome)))),
        recovery=recovery,
        ledger=settle(incident, recovery, workload, now),
        closed_at=now,
    )
    return _noted(replace(incident, status=status), now, recovery.outcome.value, recovery.message)


def growth_ended(incident: Incident, message: str, now: datetime) -> Incident:
    """Nothing grows any more and nothing was done: the incident is closed."""
    status = replace(
        incident.status,
        phase=Phase.RESOLVED,
        because="GrowthEnded",
        message=message,
        gates=(),
        closed_at=now,
    )
    return _noted(replace(incident, status=status), now, "GrowthEnded", message)


def abandoned(incident: Incident, now: datetime) -> Incident:
    """No policy governs the workload any more: the incident is closed as it stands."""
    message = "no accepted policy governs the workload any more"
    status = replace(
        incident.status, phase=Phase.OBSERVED, because="NotGoverned", message=message, gates=(), closed_at=now
    )
    return _noted(replace(incident, status=status), now, "NotGoverned", message)


def reported(incident: Incident, uri: str, now: datetime) -> Incident:
    """Its report is written at `uri`; empty where it could not be."""
    return replace(incident, status=replace(incident.status, report_uri=uri, reported_at=now))


def notified(incident: Incident, told: Notified) -> Incident:
    """A receiver of notifications has been told, or could not be."""
    others = tuple(one for one in incident.status.notifications if one.receiver != told.receiver)
    return replace(incident, status=replace(incident.status, notifications=(*others, told)))


def _leaking_runs(incident: Incident, judgement: Judgement, now: datetime) -> tuple[LeakingRun, ...]:
    """
    Those known before, and what is newly found to leak: a container's next run takes its last one's place.

    Where they are too many, those of replicas that are gone are dropped.
    """
    new = {
        (one.key.pod, one.key.container): LeakingRun(
            replica=one.key.pod, container=one.key.container, found_at=now
        )
        for one in judgement.assessments
        if one.verdict is Verdict.LEAKING and one.started_at is not None and not incident.found_leaking(one)
    }
    old = [one for one in incident.status.leaking_runs if (one.replica, one.container) not in new]
    runs = (*old, *new.values())
    if len(runs) > LEAKING_RUNS:
        standing = {(one.key.pod, one.key.container) for one in judgement.assessments}
        runs = tuple(one for one in runs if (one.replica, one.container) in standing)
    return runs[:LEAKING_RUNS]


def _growth_text(judgement: Judgement) -> str:
    growth = judgement.worst.growth
    return growth_text(growth.bytes_per_hour if growth else None)


def _record(judgement: Judgement) -> AssessmentRecord:
    worst, growth, crossing = judgement.worst, judgement.worst.growth, judgement.worst.crossing
    return AssessmentRecord(
        verdict=worst.verdict,
        reason=worst.reason,
        message=worst.message,
        growth_class=worst.growth_class,
        at=worst.at,
        replica=worst.key.pod,
        container=worst.key.container,
        replicas=judgement.replicas_of_age,
        leaking_replicas=len(judgement.leaking_replicas),
        onset=_whole_seconds(worst.onset),
        used_bytes=worst.used_bytes,
        limit_bytes=worst.limit_bytes,
        threshold_bytes=worst.threshold_bytes,
        young_floor_bytes=worst.young_floor_bytes,
        started_at=_whole_seconds(worst.started_at),
        growth_bytes_per_hour=int(growth.bytes_per_hour) if growth else None,
        growth_low_bytes_per_hour=int(growth.low_bytes_per_hour) if growth else None,
        growth_high_bytes_per_hour=int(growth.high_bytes_per_hour) if growth else None,
        crosses_threshold_earliest=_whole_seconds(crossing.earliest) if crossing else None,
        crosses_threshold_at=_whole_seconds(crossing.likely) if crossing else None,
        crosses_threshold_latest=_whole_seconds(crossing.latest) if crossing else None,
    )


def _whole_seconds(at: datetime | None) -> datetime | None:
    """An estimate to the microsecond would only look exact in people's tables."""
    return at.replace(microsecond=0) if at else None


def _differs(old: AssessmentRecord, new: AssessmentRecord) -> bool:
    if (old.verdict, old.container, old.leaking_replicas) != (
        new.verdict,
        new.container,
        new.leaking_replicas,
    ):
        return True
    return moved(old.used_bytes, new.used_bytes) or crossing_moved(
        old.crosses_threshold_at, new.crosses_threshold_at, new.at
    )


def _merged(incident: Incident, files: tuple[KeptFile, ...]) -> tuple[KeptFile, ...]:
    """Old files and new; a second try of the same file replaces the first."""
    new = {(file.label, file.replica, file.container, file.kind) for file in files}
    old = (
        file
        for file in incident.status.evidence
        if (file.label, file.replica, file.container, file.kind) not in new
    )
    return (*old, *files)


def _noted(incident: Incident, at: datetime, what: str, message: str) -> Incident:
    timeline = (*incident.status.timeline, TimelineEntry(at=at, what=what, message=message[:512]))
    if len(timeline) > TIMELINE_LENGTH:
        timeline = (timeline[0], *timeline[-(TIMELINE_LENGTH - 1) :])
    return replace(incident, status=replace(incident.status, timeline=timeline))
