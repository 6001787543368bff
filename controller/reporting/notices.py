"""One sentence for what happened, made once; Event, log line and condition take it from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.decision.outcome import Action, Decision, HoldReason, Reason
from controller.detection.judgement import Judgement
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.request import Request, RequestKind
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.remediation.order import Leftover
from controller.reporting.incident import Incident
from controller.reporting.reasons import EVENTS, EventReason, Regarding, Tone, hold_event_reason, hold_tone
from controller.verification.recovery import Recovery, RecoveryOutcome

MESSAGE_LENGTH = 1024
"""The API server refuses longer Event messages (core/v1 Event validation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The object a notice is about."""

    kind: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What people are told, on one object."""

    reason: str
    tone: Tone
    message: str
    regarding: Subject
    related: Subject | None
    action: str
    episode: str
    """What it belongs to: the same reason is told once per episode, later repeats are counted."""
    at: datetime


def leak_detected(
    incident: Incident, workload: Workload, judgement: Judgement, now: datetime
) -> tuple[Notice, ...]:
    """A leak, on the workload and on the replica that shows it most."""
    message = (
        f"container {judgement.worst.key.container} leaks in {len(judgement.leaking_replicas)} of "
        f"{judgement.replicas_of_age} replicas: {judgement.worst.message}{_adds_replicas(workload)}"
    )
    kind = "Task" if workload.ref.platform is Platform.ECS else "Pod"
    pods = (
        Subject(kind=kind, namespace=workload.ref.namespace, name=replica.name, uid=replica.uid)
        for replica in workload.replicas
        if replica.name == judgement.worst.key.pod
    )
    return tuple(
        _event(EventReason.MEMORY_LEAK_DETECTED, message, subject, incident, "Judge", now)
        for subject in (_workload(workload.ref, workload.uid), *pods)
    )


def _adds_replicas(workload: Workload) -> str:
    """A warning where the leak sets the number of replicas, too."""
    scaler = workload.autoscaler
    if scaler is None or not scaler.on_memory:
        return ""
    return (
        f"; HorizontalPodAutoscaler {scaler.name} counts memory, so the leak adds replicas and looks smaller"
    )


def held(incident: Incident, workload: Workload, decision: Decision, now: datetime) -> tuple[Notice, ...]:
    """A refusal, with the time it may change."""
    assert isinstance(decision.reason, HoldReason)  # noqa: S101  (a hold always has one)
    until = f"; next look after {decision.retry_at:%Y-%m-%d %H:%M:%SZ}" if decision.retry_at else ""
    more = [hold.reason.value for hold in decision.holds[1:]]
    also = f"; also: {', '.join(more)}" if more else ""
    return (
        Notice(
            reason=hold_event_reason(decision.reason),
            tone=hold_tone(decision.reason),
            message=f"no restart: {decision.message}{until}{also}"[:MESSAGE_LENGTH],
            regarding=_workload(workload.ref, workload.uid),
            related=_incident(incident),
            action=Action.HOLD.value,
            episode=incident.name,
            at=now,
        ),
    )


def warned(workload: Workload, judgement: Judgement, reason: Reason, now: datetime) -> tuple[Notice, ...]:
    """Memory is high and nothing is done about it."""
    worst = judgement.worst
    used, limit = worst.used_bytes or 0, worst.limit_bytes or 0
    share = f" ({100 * used / limit:.0f} % of the limit)" if limit else ""
    until = f"; can be judged from {worst.ready_at:%H:%MZ}" if worst.ready_at else ""
    message = f"container {worst.key.container} uses {used / 2**20:.0f} MiB{share}: {worst.message}{until}"
    started = worst.started_at.isoformat() if worst.started_at else ""
    return (
        Notice(
            reason=reason.value,
            tone=Tone.WARNING,
            message=message[:MESSAGE_LENGTH],
            regarding=_workload(workload.ref, workload.uid),
            related=None,
            action="Judge",
            episode=f"{workload.uid}{started}",
            at=now,
        ),
    )


def evidence_told(
    incident: Incident, workload: Workload, files: tuple[KeptFile, ...], now: datetime
) -> tuple[Notice, ...]:
    """What a capture brought."""
    told = _of_heap(incident, files) or _of_metrics(incident, files)
    if told is None:
        why = "; ".join(file.failure for file in files if file.failure) or "nothing to ask"
        goes_on = "a restart goes on without it unless `evidence.required` is true"
        told = _Told(EventReason.HEAP_PROFILE_FAILED, f"{why}; {goes_on}")
    subject = _workload(workload.ref, workload.uid)
    return (_event(told.reason, told.message, subject, incident, "Capture", now, once_per=told.once_per),)


@dataclass(frozen=True, slots=True)
class _Told:
    reason: EventReason
    message: str
    once_per: str = ""


def _of_heap(incident: Incident, files: tuple[KeptFile, ...]) -> _Told | None:
    heap = _kept(files, FileKind.HEAP)
    if heap is None:
        return None
    others = [file.kind.value for file in files if file.uri and file is not heap]
    beside = f", with {', '.join(others)}" if others else ""
    message = f"{heap.size_bytes / 1024:.0f} KiB from {heap.replica} at {heap.uri}{beside}{_says(incident)}"
    return _Told(EventReason.HEAP_PROFILE_KEPT, message, heap.label)


def _of_metrics(incident: Incident, files: tuple[KeptFile, ...]) -> _Told | None:
    metrics = _kept(files, FileKind.METRICS)
    if metrics is None:
        return None
    why = next((f" ({file.failure})" for file in files if file.kind is FileKind.HEAP and file.failure), "")
    message = f"metrics from {metrics.replica} at {metrics.uri}{_says(incident)}; no heap profile{why}"
    return _Told(EventReason.RUNTIME_METRICS_KEPT, message, metrics.label)


def _kept(files: tuple[KeptFile, ...], kind: FileKind) -> KeptFile | None:
    return next((file for file in files if file.kind is kind and file.uri), None)


def _says(incident: Incident) -> str:
    diagnosis = incident.status.diagnosis
    return f"; {diagnosis.summary}" if diagnosis else ""


def request_received(incident: Incident, request: Request, now: datetime) -> tuple[Notice, ...]:
    """Somebody asks by hand."""
    what = "a restart" if request.kind is RequestKind.RESTART else "profiles"
    message = f"{request.who} asks for {what}: {request.why} (incident {incident.name})"
    return (
        _event(
            EventReason.REQUEST_RECEIVED,
            message,
            _of_incident(incident),
            incident,
            "Decide",
            now,
            once_per=request.text,
        ),
    )


def incident_acknowledged(incident: Incident, because: str, now: datetime) -> tuple[Notice, ...]:
    """A person has looked at it."""
    message = f"incident {incident.name} is acknowledged{f': {because}' if because else ''}"
    return (
        _event(EventReason.INCIDENT_ACKNOWLEDGED, message, _of_incident(incident), incident, "Decide", now),
    )


def restart_started(incident: Incident, now: datetime) -> tuple[Notice, ...]:
    """The restart has begun."""
    message = f"{incident.status.message} because {incident.status.because} (incident {incident.name})"
    return (
        _event(EventReason.LEAK_RESTART_STARTED, message, _of_incident(incident), incident, "Restart", now),
    )


def restart_refused(incident: Incident, why: str, now: datetime) -> tuple[Notice, ...]:
    """The restart was not done."""
    return (_event(EventReason.LEAK_RESTART_REFUSED, why, _of_incident(incident), incident, "Restart", now),)


def outcome_unknown_told(incident: Incident, now: datetime) -> tuple[Notice, ...]:
    """Whether the restart was done is not known."""
    return (
        Notice(
            reason=hold_event_reason(HoldReason.OUTCOME_UNKNOWN),
            tone=hold_tone(HoldReason.OUTCOME_UNKNOWN),
            message=incident.status.message[:MESSAGE_LENGTH],
            regarding=_of_incident(incident),
            related=_incident(incident),
            action=Action.HOLD.value,
            episode=incident.name,
            at=now,
        ),
    )


def recovery_told(incident: Incident, recovery: Recovery, now: datetime) -> tuple[Notice, ...]:
    """How it ended; of one that failed first what to do, so that no limit of length can cut that off."""
    reason = (
        EventReason.LEAK_RECOVERY_CONFIRMED
        if recovery.outcome is RecoveryOutcome.RECOVERED
        else EventReason.LEAK_RECOVERY_FAILED
    )
    order, rolled_out_at = incident.status.order, incident.status.rolled_out_at
    peak, took = "", ""
    if order and order.memory_before_bytes:
        peak = f"; it was {order.memory_before_bytes / 2**20:.0f} MiB at the restart"
    if order and rolled_out_at:
        seconds = (rolled_out_at - order.issued_at).total_seconds()
        took = f"; all replicas were new and ready after {seconds:.0f} s"
    message = f"{incident.status.message}{peak}{took}{_report(incident)}"
    return (_event(reason, message, _of_incident(incident), incident, "Verify", now),)


def leftovers_told(leftovers: Sequence[Leftover], now: datetime) -> tuple[Notice, ...]:
    """What became of replicas that were let go for an incident that nobody finishes."""
    return tuple(
        Notice(
            reason=EventReason.LEFTOVER_REPLICA_ENDED.value,
            tone=EVENTS[EventReason.LEFTOVER_REPLICA_ENDED].tone,
            message=(
                f"it was released for incident {one.incident}, which is not finished any more: "
                + ("given back to its workload" if one.returned else "deleted, as it would have been")
            )[:MESSAGE_LENGTH],
            regarding=Subject(kind="Pod", namespace=one.namespace, name=one.replica, uid=one.replica_uid),
            related=None,
            action="Tidy",
            episode=one.incident,
            at=now,
        )
        for one in leftovers
    )


def growth_ended_told(incident: Incident, now: datetime) -> tuple[Notice, ...]:
    """Nothing grows any more."""
    return (
        _event(
            EventReason.MEMORY_GROWTH_ENDED,
            f"{incident.status.message}{_report(incident)}",
            _of_incident(incident),
            incident,
            "Judge",
            now,
        ),
    )


def _report(incident: Incident) -> str:
    """How to read the report, where there is one."""
    if not incident.status.report_uri:
        return ""
    if incident.spec.workload.platform is Platform.KUBERNETES:
        return f"; report: bilgepump report {incident.name} -n {incident.namespace}"
    return f"; report: {incident.status.report_uri}"


def policy_told(
    reason: EventReason, namespace: str, name: str, uid: str, message: str, now: datetime
) -> Notice:
    """Something about a policy, on the policy; one without a namespace is a ClusterMemoryPolicy."""
    row = EVENTS[reason]
    assert row.regarding is Regarding.POLICY  # noqa: S101  (the catalogue says where each reason belongs)
    return Notice(
        reason=reason.value,
        tone=row.tone,
        message=message[:MESSAGE_LENGTH],
        regarding=Subject(
            kind="MemoryPolicy" if namespace else "ClusterMemoryPolicy",
            namespace=namespace,
            name=name,
            uid=uid,
        ),
        related=None,
        action="Validate",
        episode=uid,
        at=now,
    )


def _event(
    reason: EventReason,
    message: str,
    subject: Subject,
    incident: Incident,
    action: str,
    now: datetime,
    once_per: str = "",
) -> Notice:
    return Notice(
        reason=reason.value,
        tone=EVENTS[reason].tone,
        message=message.replace("\n", " ")[:MESSAGE_LENGTH],
        regarding=subject,
        related=_incident(incident),
        action=action,
        episode=f"{incident.name} {once_per}".rstrip(),
        at=now,
    )


def _workload(ref: WorkloadRef, uid: str) -> Subject:
    return Subject(kind=ref.kind, namespace=ref.namespace, name=ref.name, uid=uid)


def _of_incident(incident: Incident) -> Subject:
    return _workload(incident.spec.workload, incident.spec.workload_uid)


def _incident(incident: Incident) -> Subject:
    return Subject(kind="MemoryIncident", namespace=incident.namespace, name=incident.name, uid=incident.uid)
