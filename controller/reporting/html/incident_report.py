"""The report of an incident: everything its record knows, and the diagnosis where there is one."""

from datetime import datetime

from controller.evidence.diagnosis import Diagnosis
from controller.evidence.summary import summarize
from controller.reporting.html.report import (
    BeforeAfter,
    GateAnswer,
    Happening,
    IncidentReport,
    MemoryHistory,
    MemoryPoint,
)
from controller.reporting.incident import AssessmentRecord, Incident


def incident_report(
    incident: Incident,
    *,
    written_at: datetime,
    diagnosis: Diagnosis | None = None,
    points: tuple[MemoryPoint, ...] = (),
    facts: tuple[tuple[str, str], ...] = (),
) -> IncidentReport:
    """
    The report; `points` is the memory of the worst replica, oldest first.

    `facts` are added to what the incident itself knows (image, Go version, node …).
    """
    status = incident.status
    return IncidentReport(
        title=str(incident.spec.workload),
        written_at=written_at,
        diagnosis=diagnosis,
        sentences=_sentences(incident, diagnosis),
        facts=(*_facts(incident), *facts),
        memory=_memory(incident, points),
        gates=tuple(
            GateAnswer(gate=each.reason.value, held=True, message=each.message, retry_at=each.retry_at)
            for each in status.gates
        ),
        timeline=tuple(
            Happening(at=each.at, what=each.what, message=each.message) for each in status.timeline
        ),
        recovery=_recovery(incident),
        files=status.evidence,
    )


def _sentences(incident: Incident, diagnosis: Diagnosis | None) -> tuple[str, ...]:
    """Detected, explained, done: one sentence each, where known."""
    status = incident.status
    told = [status.assessment.message if status.assessment else ""]
    told.append(_summary(incident, diagnosis))
    told.append(status.recovery.message if status.recovery else status.message)
    return tuple(f"{each[:1].upper()}{each[1:].rstrip('.')}." for each in told if each)


def _summary(incident: Incident, diagnosis: Diagnosis | None) -> str:
    if diagnosis is not None:
        return summarize(diagnosis)
    return incident.status.diagnosis.summary if incident.status.diagnosis else ""


def _facts(incident: Incident) -> tuple[tuple[str, str], ...]:
    spec, assessment = incident.spec, incident.status.assessment
    facts = [
        ("Incident", incident.name),
        ("Phase", incident.status.phase.value),
        ("Policy", f"{spec.policy.namespace}/{spec.policy.name}, generation {spec.policy.generation}"),
        ("Opened", f"{spec.opened_at:%Y-%m-%d %H:%M} UTC"),
    ]
    if assessment is not None:
        facts += [
            ("Replica", f"{assessment.replica}, container {assessment.container}"),
            ("Leaking replicas", f"{assessment.leaking_replicas} of {assessment.replicas}"),
            ("Growth", _growth(assessment)),
        ]
    return tuple((label, value) for label, value in facts if value)


def _growth(assessment: AssessmentRecord) -> str:
    slope = assessment.growth_bytes_per_hour
    if slope is None:
        return ""
    low, high = assessment.growth_low_bytes_per_hour, assessment.growth_high_bytes_per_hour
    between = f", between {_mib(low)} and {_mib(high)}" if low is not None and high is not None else ""
    return f"{_mib(slope)} an hour{between}"


def _memory(incident: Incident, points: tuple[MemoryPoint, ...]) -> MemoryHistory | None:
    if not points:
        return None
    known, receipt = incident.status.assessment, incident.status.receipt
    return MemoryHistory(
        points=points,
        limit_bytes=known.limit_bytes if known else None,
        threshold_bytes=known.threshold_bytes if known else None,
        crosses_at=known.crosses_threshold_at if known else None,
        crosses_earliest=known.crosses_threshold_earliest if known else None,
        crosses_latest=known.crosses_threshold_latest if known else None,
        restarts=(receipt.at,) if receipt else (),
    )


def _recovery(incident: Incident) -> BeforeAfter | None:
    recovery = incident.status.recovery
    if recovery is None:
        return None
    return BeforeAfter(
        outcome=recovery.outcome.value,
        message=recovery.message,
        before_bytes=recovery.memory_before_bytes,
        after_bytes=recovery.memory_after_bytes,
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
