"""What the platform tells of a replica: its last log lines, how its container ended before, recent events."""

import re
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload, WorkloadRef

MOST_EVENTS = 20
LONGEST_MESSAGE = 500
"""Characters of an event's or a termination's message that are kept."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How much of a log is kept; nothing at all where `lines` is 0."""

    lines: int = 200
    maximum_bytes: int = 64 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextPlan:
    """Which replica's container, and under which name the files are kept."""

    folder: str
    label: str
    workload: WorkloadRef
    workload_uid: str
    replica: str
    replica_uid: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """How a container ended."""

    reason: str = ""
    """`OOMKilled`, `Error`, `Completed` …, as the platform says it."""
    exit_code: int | None = None
    finished_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentEvent:
    """One thing that the platform told of the replica or its workload."""

    at: datetime
    reason: str
    about: str
    message: str
    warning: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaContext:
    """Everything but the log lines, which are kept in files of their own."""

    previous_termination: Termination | None = None
    restart_count: int = 0
    events: tuple[RecentEvent, ...] = ()
    """Newest last, at most `MOST_EVENTS`."""
    missing: tuple[str, ...] = ()
    """What could not be had, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The context and the log lines; a log is None where there is none or it is not kept."""

    context: ReplicaContext
    log: bytes | None = None
    previous_log: bytes | None = None


_DOCUMENT = TypeAdapter(ReplicaContext)


def plan_context(workload: Workload, judgement: Judgement, folder: str, label: str) -> ContextPlan | None:
    """The worst replica's worst container; None where that replica is gone."""
    key = judgement.worst.key
    replica = next((one for one in workload.replicas if one.name == key.pod), None)
    if replica is None:
        return None
    return ContextPlan(
        folder=folder,
        label=label,
        workload=workload.ref,
        workload_uid=workload.uid,
        replica=replica.name,
        replica_uid=replica.uid,
        container=key.container,
    )


def to_json(context: ReplicaContext) -> bytes:
    """The context as it is kept."""
    return _DOCUMENT.dump_json(context, indent=2)


def from_json(content: bytes) -> ReplicaContext | None:
    """The context that was kept; None where it cannot be read."""
    try:
        return _DOCUMENT.validate_json(content)
    except ValidationError:
        return None


def last_lines(log: bytes, limits: LogLimits) -> bytes:
    """The end of `log` within the limits, from the beginning of a line where there is one."""
    lines = log.splitlines(keepends=True)[-limits.lines :] if limits.lines else []
    kept = b"".join(lines)
    if len(kept) <= limits.maximum_bytes:
        return kept
    cut = kept[-limits.maximum_bytes :]
    _, newline, whole = cut.partition(b"\n")
    return whole if newline and whole else cut


def readable(log: bytes) -> str:
    """The text of a log as a page shows it: no colours, no control or direction characters."""
    text = log.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _ESCAPES.sub("", text))
