"""
What people are told about an episode outside the platform: what is due to whom, and how urgent it is.

The incident's timeline is the outbox. How far each receiver has been told stands in the incident, so a
restart neither repeats everything nor forgets anything; what is due is computed anew by every sweep.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from controller.decision.outcome import HoldReason
from controller.detection.assessment import Verdict
from controller.inventory.workload import Platform
from controller.reporting.incident import ACKNOWLEDGED, ORDER_VOIDED, Incident, Notified, Phase, TimelineEntry
from controller.reporting.reasons import HOLDS, Tone, hold_tone

MOST_CHANGES = 10
"""Entries of the timeline in one message; older ones stand in the incident."""


class Urgency(StrEnum):
    """Who should look, and when."""

    INFO = "Info"
    """Nobody has to."""
    WARNING = "Warning"
    """Somebody should, in working hours: a leak was found, or a profile could not be kept."""
    CRITICAL = "Critical"
    """A person is needed: it failed, it is escalated, or only a person can end the hold."""

    @property
    def rank(self) -> int:
        """Greater is more urgent."""
        return list(Urgency).index(self)


class Stage(StrEnum):
    """Where in the episode a message stands, for its receiver."""

    OPENED = "Opened"
    CHANGED = "Changed"
    CLOSED = "Closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which incidents a receiver is told of. Empty conditions match everything."""

    receiver: str
    at_least: Urgency = Urgency.INFO
    namespaces: tuple[str, ...] = ()
    """Names or shell patterns, of the workload's namespace."""
    policies: tuple[str, ...] = ()
    """Names or shell patterns, of the policy the incident was opened under."""
    policy_labels: tuple[tuple[str, str], ...] = ()
    """Labels the policy must all have."""

    def matches(self, incident: Incident, labels: Mapping[str, str]) -> bool:
        """Whether the incident, under a policy with these labels, is for the receiver."""
        return (
            _any_matches(self.namespaces, incident.spec.workload.namespace)
            and _any_matches(self.policies, incident.spec.policy.name)
            and all(labels.get(key) == value for key, value in self.policy_labels)
        )


def _any_matches(patterns: tuple[str, ...], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one receiver is to be told of one incident now."""

    receiver: str
    incident: Incident
    changes: tuple[TimelineEntry, ...]
    """What the receiver does not know yet, oldest first."""
    urgency: Urgency
    stage: Stage
    thread: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """One message about an incident is on its way to a receiver at a time."""
        return self.incident.namespace, self.incident.name, self.receiver

    @property
    def through(self) -> datetime:
        """The time of the newest change in it."""
        return self.changes[-1].at

    @property
    def id(self) -> str:
        """The same for the same message, also when it is sent again."""
        at = self.through.strftime("%Y%m%dT%H%M%S.%fZ")
        return f"{self.incident.uid or self.incident.name}.{at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a message."""

    message: Message
    thread: str = ""
    failure: str = ""

    @property
    def record(self) -> Notified:
        """The same, as the incident keeps it."""
        message = self.message
        return Notified(
            receiver=message.receiver,
            through=message.through,
            thread=message.thread or self.thread,
            failure=self.failure,
        )


def due_messages(
    incident: Incident,
    routes: Iterable[Route],
    labels: Mapping[str, str],
    maximum_age: timedelta,
    now: datetime,
) -> Iterator[Message]:
    """
    What is to be told of `incident` now, one message per receiver.

    `labels` are those of its policy. Whoever has been told of it once is told the rest, however little urgent
    and whatever the labels say by now. What is older than `maximum_age` is no news: it is not told.
    """
    told = {one.receiver: one for one in incident.status.notifications}
    wanted: dict[str, Urgency] = {}
    for route in routes:
        if route.receiver in told or route.matches(incident, labels):
            known = wanted.get(route.receiver, Urgency.CRITICAL)
            wanted[route.receiver] = min(known, route.at_least, key=lambda one: one.rank)
    for receiver, at_least in wanted.items():
        before = told.get(receiver)
        changes = tuple(
            entry for entry in incident.status.timeline if before is None or entry.at > before.through
        )
        if not changes or now - changes[-1].at > maximum_age:
            continue
        urgency = urgency_of(incident, changes)
        if before is None and urgency.rank < at_least.rank:
            continue
        yield Message(
            receiver=receiver,
            incident=incident,
            changes=changes[-MOST_CHANGES:],
            urgency=urgency,
            stage=_stage(incident, before),
            thread=before.thread if before else "",
        )


def _stage(incident: Incident, before: Notified | None) -> Stage:
    if not incident.open:
        return Stage.CLOSED
    return Stage.CHANGED if before else Stage.OPENED


def urgency_of(incident: Incident, changes: Iterable[TimelineEntry]) -> Urgency:
    """How urgent the incident is as it stands, in the light of what is new."""
    if needs_a_person(incident):
        return Urgency.CRITICAL
    news = {entry.what for entry in changes}
    if incident.open and news & {Verdict.LEAKING.value, "CaptureFailed", ORDER_VOIDED}:
        return Urgency.WARNING
    return Urgency.INFO


def needs_a_person(incident: Incident) -> bool:
    """It failed, it is escalated, or a person alone can end the hold; until somebody has acknowledged it."""
    status = incident.status
    if _looked_at(incident):
        return False
    if status.phase in (Phase.FAILED, Phase.ESCALATED):
        return True
    hold = _hold(incident)
    return incident.open and hold is not None and hold_tone(hold) is Tone.WARNING


def _looked_at(incident: Incident) -> bool:
    """A person has acknowledged it since it came to stand as it does."""
    happened = [entry.what for entry in incident.status.timeline]
    before = [ACKNOWLEDGED, *happened]
    return _last(before, ACKNOWLEDGED) > _last([incident.status.because, *happened], incident.status.because)


def _last(words: list[str], word: str) -> int:
    return len(words) - 1 - words[::-1].index(word)


def what_to_do(incident: Incident) -> str:
    """The catalogue's advice for the hold it is in; empty where it is in none."""
    hold = _hold(incident)
    return HOLDS[hold][1] if hold else ""


def _hold(incident: Incident) -> HoldReason | None:
    because = incident.status.because
    return HoldReason(because) if because in set(HoldReason) else None


def message_document(message: Message, cluster: str) -> dict[str, Any]:
    """
    The message for programs and templates: the `data` of the CloudEvent that docs/notifications.md describes.

    `cluster` is the name the controller's settings give to where it runs.
    """
    incident, status = message.incident, message.incident.status
    workload, assessment, diagnosis = incident.spec.workload, status.assessment, status.diagnosis
    return {
        "cluster": cluster,
        "title": title(message, cluster),
        "urgency": message.urgency.value,
        "stage": message.stage.value,
        "incident": {
            "namespace": incident.namespace,
            "name": incident.name,
            "openedAt": _rfc3339(incident.spec.opened_at),
            "closedAt": _rfc3339(status.closed_at),
        },
        "policy": {"namespace": incident.spec.policy.namespace, "name": incident.spec.policy.name},
        "workload": {
            "platform": workload.platform.value,
            "kind": workload.kind,
            "namespace": workload.namespace,
            "name": workload.name,
        },
        "phase": status.phase.value,
        "because": status.because,
        "message": status.message,
        "memory": {
            "container": assessment.container if assessment else "",
            "replica": assessment.replica if assessment else "",
            "class": assessment.growth_class.value if assessment else "",
            "growth": status.growth_text,
            "growthBytesPerHour": assessment.growth_bytes_per_hour if assessment else None,
            "usedBytes": assessment.used_bytes if assessment else None,
            "limitBytes": assessment.limit_bytes if assessment else None,
            "thresholdBytes": assessment.threshold_bytes if assessment else None,
            "thresholdAt": _rfc3339(assessment.crosses_threshold_at) if assessment else None,
        },
        "diagnosis": diagnosis.summary if diagnosis else "",
        "changes": [
            {"at": _rfc3339(one.at), "what": one.what, "message": one.message} for one in message.changes
        ],
        "whatToDo": what_to_do(incident),
        "look": _look(incident),
    }


def title(message: Message, cluster: str) -> str:
    """One line: where, which workload, and how it stands."""
    where = f"[{cluster}] " if cluster else ""
    return f"{where}{message.incident.spec.workload}: {_standing(message.incident)}"


def _standing(incident: Incident) -> str:
    status = incident.status
    leak = "memory leak" if incident.known_to_leak else "memory growth"
    match status.phase:
        case Phase.DETECTED:
            return f"{leak} found"
        case Phase.CAPTURED:
            return f"{leak}, {'profiles kept' if status.because == 'ProfilesKept' else 'no profile kept'}"
        case Phase.HELD:
            return f"{leak}, restart held ({status.because})"
        case Phase.ESCALATED:
            return f"{leak} needs a person ({status.because})"
        case Phase.OBSERVED:
            return f"{leak} observed ({status.because})"
        case Phase.RESTARTING:
            return f"{leak}, being restarted"
        case Phase.VERIFYING:
            return "restarted, memory is watched"
        case Phase.RESOLVED:
            return f"resolved ({status.because})"
        case Phase.FAILED:
            return f"the restart did not help ({status.because})"


def plain_text(message: Message) -> str:
    """A few lines for people: how it stands, the numbers, what is new, what to do, where to look."""
    status = message.incident.status
    lines = [status.message] if status.message else []
    if numbers := _numbers(message.incident):
        lines.append(numbers)
    if status.diagnosis:
        lines.append(f"The evidence: {status.diagnosis.summary}")
    lines += [_change(one) for one in message.changes]
    if advice := what_to_do(message.incident):
        lines.append(f"What to do: {advice}")
    lines.append(f"Look: {_look(message.incident)}")
    return "\n".join(lines)


def _change(entry: TimelineEntry) -> str:
    told = f": {entry.message}" if entry.message else ""
    return f"• {entry.at:%H:%M:%SZ} {entry.what}{told}"


def _numbers(incident: Incident) -> str:
    assessment = incident.status.assessment
    if assessment is None:
        return ""
    parts = [f"container {assessment.container}"]
    if incident.status.growth_text:
        parts.append(f"grows {incident.status.growth_text}")
    if assessment.used_bytes and assessment.limit_bytes:
        share = assessment.used_bytes / assessment.limit_bytes
        parts.append(f"{assessment.used_bytes / 2**20:.0f} MiB, {share:.0%} of its limit")
    if assessment.crosses_threshold_at and incident.open:
        parts.append(f"threshold at {assessment.crosses_threshold_at:%Y-%m-%d %H:%MZ}")
    return ", ".join(parts)


def _look(incident: Incident) -> str:
    if incident.spec.workload.platform is Platform.ECS:
        return incident.status.report_uri or f"bilgepump incidents {incident.name}"
    return f"bilgepump report {incident.name} -n {incident.namespace} --open"


def _rfc3339(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
