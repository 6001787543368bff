"""What the HTML report shows. Parts that are absent are left out of the page."""

from dataclasses import dataclass
from datetime import datetime

from controller.evidence.diagnosis import Diagnosis
from controller.evidence.kept import KeptFile
from controller.evidence.replica_context import ReplicaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPoint:
    """Memory at one moment (aware UTC)."""

    at: datetime
    used_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHistory:
    """The memory of the replica that leaks most, oldest point first, and what is drawn over it."""

    points: tuple[MemoryPoint, ...]
    limit_bytes: int | None = None
    threshold_bytes: int | None = None
    crosses_at: datetime | None = None
    """When it was projected to reach the threshold."""
    crosses_earliest: datetime | None = None
    crosses_latest: datetime | None = None
    projected_at: datetime | None = None
    """Where the projection starts; at the last point where it is None."""
    restarts: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """One gate of the decision and what it said."""

    gate: str
    held: bool
    message: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the timeline."""

    at: datetime
    what: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """Memory at the remediation, and at equal age before and after it."""

    outcome: str
    message: str
    at_restart_bytes: int | None = None
    before_bytes: int | None = None
    after_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """The end of a container's log."""

    title: str
    replica: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReport:
    """Everything on the page."""

    title: str
    written_at: datetime
    diagnosis: Diagnosis | None = None
    sentences: tuple[str, ...] = ()
    """What happened, in about three sentences; made from the diagnosis where there are none."""
    facts: tuple[tuple[str, str], ...] = ()
    """Label and value: policy, workload, replica, image …"""
    memory: MemoryHistory | None = None
    gates: tuple[GateAnswer, ...] = ()
    timeline: tuple[Happening, ...] = ()
    recovery: BeforeAfter | None = None
    context: ReplicaContext | None = None
    logs: tuple[LogLines, ...] = ()
    """Only on the page for those who may read logs; the other one says that there are some."""
    files: tuple[KeptFile, ...] = ()
