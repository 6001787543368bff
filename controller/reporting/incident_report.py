"""From an incident and what is known beside it to everything that stands on the report's page."""

from collections.abc import Sequence
from datetime import datetime

from controller.decision.outcome import HoldReason
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.kept import KeptFile
from controller.evidence.replica_context import ReplicaContext
from controller.reporting.html.report import (
    BeforeAfter,
    GateAnswer,
    Happening,
    IncidentReport,
    MemoryHistory,
)
from controller.reporting.incident import AssessmentRecord, Incident, Ledger, Phase

_NOT_GATES = frozenset({HoldReason.NOT_YET_NEEDED, HoldReason.OUTCOME_UNKNOWN})
"""Reasons for waiting that no gate gives: nothing was wanted yet, or it is being found out."""


def incident_report(
    incident: Incident,
    *,
    diagnosis: Diagnosis | None,
    memory: MemoryHistory | None,
    baseline: Sequence[KeptFile],
    context: ReplicaContext | None = None,
    now: datetime,
) -> IncidentReport:
    """The whole page; `baseline` are the files that lie beside the incident's own to compare with."""
    status = incident.status
    return IncidentReport(
        title=f"{incident.spec.workload}: {_phase(status.phase)}",
        written_at=now,
        diagnosis=diagnosis,
        sentences=_sentences(incident),
        facts=_facts(incident),
        memory=memory,
        gates=_gates(incident),
        timeline=tuple(Happening(at=one.at, what=one.what, message=one.message) for one in status.timeline),
        recovery=BeforeAfter(
            outcome=status.recovery.outcome.value,
            message=status.recovery.message,
            at_restart_bytes=status.order.memory_before_bytes if status.order else None,
            before_bytes=status.recovery.memory_before_bytes,
            after_bytes=status.recovery.memory_after_bytes,
        )
        if status.recovery
        else None,
        context=context,
        files=(*baseline, *status.evidence),
    )


def _phase(phase: Phase) -> str:
    return f"memory incident {phase.value.lower()}"


def _sentences(incident: Incident) -> tuple[str, ...]:
    """What grows, what the evidence says of it, and what came of it."""
    assessment, diagnosis = incident.status.assessment, incident.status.diagnosis
    told = [_what_grows(incident, assessment)] if assessment else []
    if diagnosis:
        told.append(f"The evidence: {diagnosis.summary}")
    return tuple(_sentence(each) for each in (*told, _what_was_done(incident)))


def _what_grows(incident: Incident, assessment: AssessmentRecord) -> str:
    growth = f"grew by {incident.status.growth_text}" if incident.status.growth_text else "grew"
    since = f" since {_minute(assessment.onset)}" if assessment.onset else ""
    told = (
        f"Memory of container {assessment.container} {growth}{since}, judged {assessment.verdict.value} "
        f"in {assessment.leaking_replicas} of {assessment.replicas} replicas"
    )
    if assessment.crosses_threshold_at and assessment.threshold_bytes:
        told += (
            f"; going on like that it reaches the threshold of {_mib(assessment.threshold_bytes)} "
            f"at {_minute(assessment.crosses_threshold_at)}"
        )
    return told


def _what_was_done(incident: Incident) -> str:
    status = incident.status
    if status.order is None:
        return f"Nothing was restarted ({status.because}): {status.message}"
    size = status.order.memory_before_bytes
    held = f" with {_mib(size)} in use" if size else ""
    begun = f"{status.order.mechanism.value} was ordered at {_minute(status.order.issued_at)}{held}"
    if status.recovery is not None:
        return f"{begun}, and {status.message}"
    return f"{begun}; {status.message}"


def _facts(incident: Incident) -> tuple[tuple[str, str], ...]:
    spec, status, assessment = incident.spec, incident.status, incident.status.assessment
    facts = [
        ("Incident", f"{incident.namespace}/{incident.name}"),
        ("Workload", str(spec.workload)),
        ("Policy", f"{spec.policy}, generation {spec.policy.generation}"),
        ("Opened", _minute(spec.opened_at)),
    ]
    if status.closed_at:
        facts.append(("Closed", f"{_minute(status.closed_at)}, {status.because}"))
    if assessment:
        facts += _numbers(assessment)
    if ledger := _ledger_text(status.ledger):
        facts.append(("Ledger", ledger))
    return tuple(facts)


def _ledger_text(ledger: Ledger | None) -> str:
    """What is known of it; empty where nothing is."""
    if ledger is None:
        return ""
    replaced, avoided, saved = (
        ledger.replicas_replaced,
        ledger.oom_kills_avoided,
        ledger.memory_saved_byte_hours,
    )
    known = [
        f"{replaced} replica{'' if replaced == 1 else 's'} replaced" if replaced is not None else "",
        f"{avoided} OOM kill{'' if avoided == 1 else 's'} avoided" if avoided is not None else "",
        f"{_mib(saved)} hours of memory saved until it was closed" if saved is not None else "",
    ]
    return ", ".join(filter(None, known))


def _numbers(assessment: AssessmentRecord) -> list[tuple[str, str]]:
    numbers = [
        ("Replica", f"{assessment.replica}, container {assessment.container}"),
        (
            "Verdict",
            f"{assessment.verdict.value} ({assessment.reason}), class {assessment.growth_class.value}",
        ),
    ]
    if assessment.growth_bytes_per_hour is not None:
        low, high = assessment.growth_low_bytes_per_hour or 0, assessment.growth_high_bytes_per_hour or 0
        interval = f"{_mib(low)} to {_mib(high)}"
        numbers.append(("Growth", f"{_mib(assessment.growth_bytes_per_hour)} per hour ({interval})"))
    sizes = (
        ("used", assessment.used_bytes),
        ("threshold", assessment.threshold_bytes),
        ("limit", assessment.limit_bytes),
    )
    known = [f"{name} {_mib(size)}" for name, size in sizes if size]
    if known:
        numbers.append(("Memory", ", ".join(known)))
    if assessment.crosses_threshold_earliest:
        latest = assessment.crosses_threshold_latest
        until = f"and {_minute(latest)}" if latest else "and never"
        numbers.append(("Threshold", f"between {_minute(assessment.crosses_threshold_earliest)} {until}"))
    return numbers


def _gates(incident: Incident) -> tuple[GateAnswer, ...]:
    """Every reason a gate can give, in the order they are asked; empty where nothing was decided."""
    status = incident.status
    holds = {hold.reason: hold for hold in status.gates}
    if not holds and status.order is None:
        return ()
    waiting = [
        GateAnswer(gate=one.value, held=True, message=holds[one].message, retry_at=holds[one].retry_at)
        for one in holds
        if one in _NOT_GATES
    ]
    if waiting:
        return tuple(waiting)
    return tuple(
        GateAnswer(
            gate=reason.value,
            held=reason in holds,
            message=holds[reason].message if reason in holds else "",
            retry_at=holds[reason].retry_at if reason in holds else None,
        )
        for reason in HoldReason
        if reason not in _NOT_GATES
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:,.1f} MiB"
