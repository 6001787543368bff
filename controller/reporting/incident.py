"""
The durable record of one episode of one workload.

An incident is a value; the steps it can take stand in `controller.reporting.incident_steps`. Its name is
made from the workload's uid and the time of its last remediation (or its creation), never from an
estimate, so that a second writer makes the same name and collides instead of acting twice.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.decision.approval import Approval
from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Captured, VoidedOrder
from controller.detection.assessment import Assessment, GrowthClass, Verdict
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.workload import Workload, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.remediation.order import Order, Receipt
from controller.verification.recovery import Recovery

ACKNOWLEDGED = "Acknowledged"
"""What the timeline calls it when a person has looked."""
ORDER_VOIDED = "OrderVoided"
"""What the timeline calls it when an order was refused or not carried out."""
CUT_SHORT = "CutShort"
"""What the timeline calls it when no further replica is begun."""


class Phase(StrEnum):
    """The short word for people's tables."""

    DETECTED = "Detected"
    CAPTURED = "Captured"
    HELD = "Held"
    RESTARTING = "Restarting"
    VERIFYING = "Verifying"
    RESOLVED = "Resolved"
    FAILED = "Failed"
    ESCALATED = "Escalated"
    OBSERVED = "Observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """The policy an incident was opened under, and which generation of it."""

    namespace: str
    """Empty for a ClusterMemoryPolicy."""
    name: str
    uid: str
    generation: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSpec:
    """What never changes about an incident."""

    policy: PolicyRef
    workload: WorkloadRef
    workload_uid: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentRecord:
    """The numbers of the judgement, as the incident keeps them."""

    verdict: Verdict
    reason: str
    message: str
    growth_class: GrowthClass
    at: datetime
    replica: str
    container: str
    replicas: int
    leaking_replicas: int
    onset: datetime | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    threshold_bytes: int | None = None
    young_floor_bytes: int | None = None
    started_at: datetime | None = None
    growth_bytes_per_hour: int | None = None
    growth_low_bytes_per_hour: int | None = None
    growth_high_bytes_per_hour: int | None = None
    crosses_threshold_earliest: datetime | None = None
    crosses_threshold_at: datetime | None = None
    crosses_threshold_latest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakingRun:
    """One run of a container that was found to leak."""

    replica: str
    container: str
    found_at: datetime
    """When it was first found to, in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retainer:
    """One function that holds memory it did not hold before."""

    function: str
    file: str = ""
    line: int = 0
    inuse_bytes: int = 0
    delta_bytes: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyCause:
    """One cause of the catalogue that fits what grew, and where to look for it."""

    id: str
    confidence: float
    """From 0 to 1."""
    function: str = ""
    file: str = ""
    line: int = 0
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRecord:
    """What the evidence says, short enough for a status."""

    summary: str
    runtime: str = ""
    growth_class: str = ""
    explained_share: float | None = None
    causes: tuple[LikelyCause, ...] = ()
    """Every one that fits, the likeliest first."""
    top_retainers: tuple[Retainer, ...] = ()
    can_memory_be_freed_by_hand: bool | None = None
    freed_by_hand_because: str = ""
    meanwhile: tuple[str, ...] = ()
    """What to set or to run until the fix is out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the remediation cost and brought, by `controller.reporting.ledger`; None is not known."""

    replicas_replaced: int | None = None
    oom_kills_avoided: int | None = None
    memory_saved_byte_hours: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened."""

    at: datetime
    what: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """How far one receiver of notifications has been told."""

    receiver: str
    through: datetime
    """The time of the newest entry of the timeline that it was told of."""
    thread: str = ""
    """What its platform calls the conversation; empty where it has none."""
    failure: str = ""
    """Why the last message was given up; empty where it arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStatus:
    """What is known so far."""

    phase: Phase = Phase.DETECTED
    because: str = ""
    message: str = ""
    workload_text: str = ""
    growth_text: str = ""
    assessment: AssessmentRecord | None = None
    leaking_runs: tuple[LeakingRun, ...] = ()
    evidence: tuple[KeptFile, ...] = ()
    diagnosis: DiagnosisRecord | None = None
    gates: tuple[Hold, ...] = ()
    escalated_because: HoldReason | None = None
    """The hold that only a person can end, while there is one."""
    order: Order | None = None
    receipt: Receipt | None = None
    rolled_out_at: datetime | None = None
    recovery: Recovery | None = None
    ledger: Ledger | None = None
    """None before the recovery is final."""
    timeline: tuple[TimelineEntry, ...] = ()
    report_uri: str = ""
    reported_at: datetime | None = None
    """When the report was last written, or tried; `report_uri` is empty where it could not be."""
    closed_at: datetime | None = None
    notifications: tuple[Notified, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One episode of one workload."""

    name: str
    namespace: str
    spec: IncidentSpec
    status: IncidentStatus
    approval: Approval | None = None
    """What a person wrote on it; never written by the controller."""
    acknowledged_because: str | None = None
    """Who says on the incident itself that they have looked, and why; None where nobody does."""
    resource_version: str = ""
    uid: str = ""

    @property
    def open(self) -> bool:
        """Something may still happen to it."""
        return self.status.closed_at is None

    @property
    def ordered(self) -> bool:
        """A remediation has been ordered; from here on it is finished, whatever the policy says now."""
        return self.status.order is not None

    @property
    def known_to_leak(self) -> bool:
        """It was judged `Leaking` at some time since it was opened."""
        return any(entry.what == Verdict.LEAKING.value for entry in self.status.timeline)

    @property
    def leaking_since(self) -> datetime | None:
        """When it was last found to leak, after not being known to."""
        return self._newest(Verdict.LEAKING.value)

    def found_leaking_at(self, key: ContainerKey) -> datetime | None:
        """When a container was first found to leak, in the newest run in which it was; None: it never was."""
        return next(
            (
                one.found_at
                for one in self.status.leaking_runs
                if (one.replica, one.container) == (key.pod, key.container)
            ),
            None,
        )

    def found_leaking(self, assessment: Assessment) -> bool:
        """Whether the container was found to leak in the run that `assessment` is about."""
        found_at, started_at = self.found_leaking_at(assessment.key), assessment.started_at
        return found_at is not None and started_at is not None and found_at >= started_at

    @property
    def cut_short_at(self) -> datetime | None:
        """When it was last decided to begin no further replica."""
        return self._newest(CUT_SHORT)

    def _newest(self, what: str) -> datetime | None:
        return max((entry.at for entry in self.status.timeline if entry.what == what), default=None)

    @property
    def time_to_threshold(self) -> timedelta | None:
        """From the start of the remediated container to the threshold, measured or as it was projected."""
        assessment, order = self.status.assessment, self.status.order
        if assessment is None or order is None or assessment.started_at is None:
            return None
        reached_at = max(assessment.crosses_threshold_at or order.issued_at, order.issued_at)
        return reached_at - assessment.started_at

    @property
    def acknowledged(self) -> bool:
        """A person has looked at it."""
        return any(entry.what == ACKNOWLEDGED for entry in self.status.timeline)

    @property
    def voided(self) -> VoidedOrder | None:
        """The newest order that was refused or not carried out."""
        entries = [entry for entry in self.status.timeline if entry.what == ORDER_VOIDED]
        if not entries:
            return None
        return VoidedOrder(at=entries[-1].at, because=entries[-1].message, times=len(entries))

    @property
    def replaces_replicas(self) -> bool:
        """It occupies a slot of concurrency: until the new replicas are ready."""
        return self.open and self.ordered and self.status.rolled_out_at is None

    @property
    def replaces_one_at_a_time(self) -> bool:
        """Its next step follows as soon as the replacement of the last replica is ready."""
        order = self.status.order
        return self.replaces_replicas and order is not None and order.stepwise

    @property
    def folder(self) -> str:
        """Where its files are in the evidence store."""
        return f"{self.namespace}/{self.name}"

    @property
    def report_due(self) -> bool:
        """Something has happened since its report was written."""
        reported_at, timeline = self.status.reported_at, self.status.timeline
        return bool(timeline) and (reported_at is None or timeline[-1].at > reported_at)

    @property
    def captured(self) -> Captured:
        """How many profiles were tried for."""
        labels = {kept.label for kept in self.status.evidence if kept.kind.is_profile}
        if Captured.LATE.name.lower() in labels:
            return Captured.LATE
        return Captured.EARLY if Captured.EARLY.name.lower() in labels else Captured.NOTHING

    @property
    def kept_heap(self) -> bool:
        """At least one heap profile is kept."""
        return any(kept.kind is FileKind.HEAP and kept.uri for kept in self.status.evidence)


def incident_name(workload: Workload, last_remediation: datetime | None) -> str:
    """The one name this episode can have: short, and a valid Kubernetes object name."""
    since = (last_remediation or workload.created_at).isoformat()
    digest = hashlib.sha256(f"{workload.uid} {since}".encode()).hexdigest()[:10]
    plain = re.sub(r"[^a-z0-9.-]", "-", workload.ref.name.rpartition("/")[2].lower()).lstrip("-.")
    return f"{plain[:52].rstrip('-.')}-{digest}"
