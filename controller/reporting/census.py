"""What one sweep found: counted, for our own metrics, and per policy, for its status."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from controller.decision.outcome import Action, Decision
from controller.detection.assessment import Assessment, Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload, WorkloadRef
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import MemoryPolicy
from controller.reporting.growing import growing
from controller.reporting.incident import Incident
from controller.reporting.past import newest_failure
from controller.reporting.policy_status import PolicyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one sweep saw of one workload."""

    policy: MemoryPolicy
    workload: Workload
    judgement: Judgement | None
    decision: Decision | None
    incident: Incident | None

    @property
    def verdict(self) -> Verdict:
        """The verdict; no data at all is `InsufficientData`."""
        return self.judgement.verdict if self.judgement else Verdict.INSUFFICIENT_DATA

    @property
    def held(self) -> bool:
        """A gate holds it now."""
        return self.decision is not None and self.decision.action is Action.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What one sweep found, counted."""

    accepted_policies: int
    rejected_policies: int
    workloads: Mapping[tuple[str, str], int]
    """By namespace and verdict."""
    holds: Mapping[tuple[str, str], int]
    """By namespace and reason."""
    incidents: Mapping[tuple[str, str], int]
    """By namespace and phase, as they stood when the sweep began."""
    threshold_seconds: Mapping[tuple[str, str, str], float]
    """By namespace, kind and name, of workloads that leak."""
    growing: Mapping[WorkloadRef, Assessment]
    """The worst container of workloads that leak or are suspect."""
    unacknowledged: Collection[WorkloadRef]
    """Whose newest remediation failed, and nobody has acknowledged it."""
    open_incidents: Collection[tuple[WorkloadRef, str, str]]
    """Workload, name and phase, as they stood when the sweep began."""
    sources: Mapping[str, bool]
    """By name: whether the metrics source answers."""
    decided: Sequence[Seen]


def census(
    book: PolicyBook, seen: Sequence[Seen], incidents: Sequence[Incident], missing: Mapping[str, str]
) -> Census:
    """The counts of one sweep."""
    return Census(
        accepted_policies=len(book.documents),
        rejected_policies=len(book.rejected),
        workloads=Counter((item.workload.ref.namespace, item.verdict.value) for item in seen),
        holds=Counter(
            (item.workload.ref.namespace, item.decision.reason.value)
            for item in seen
            if item.held and item.decision
        ),
        incidents=Counter((one.namespace, one.status.phase.value) for one in incidents),
        threshold_seconds={
            (item.workload.ref.namespace, item.workload.ref.kind, item.workload.ref.name): left
            for item in seen
            if (left := _seconds_left(item)) is not None
        },
        growing={
            item.workload.ref: item.judgement.worst
            for item in seen
            if item.judgement is not None and item.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        },
        unacknowledged=_unacknowledged(seen, incidents),
        open_incidents=tuple(
            (one.spec.workload, one.name, one.status.phase.value) for one in incidents if one.open
        ),
        sources=_sources(book, missing),
        decided=tuple(seen),
    )


def _sources(book: PolicyBook, missing: Mapping[str, str]) -> dict[str, bool]:
    here: dict[str, bool] = {}
    for policy in book.accepted:
        name = policy.metrics.source
        here[name] = here.get(name, True) and policy.key not in missing
    return here


def _unacknowledged(seen: Sequence[Seen], incidents: Sequence[Incident]) -> tuple[WorkloadRef, ...]:
    of_workload: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        of_workload[incident.spec.workload_uid].append(incident)
    workloads = (item.workload for item in seen)
    return tuple(
        workload.ref
        for workload in workloads
        if (failed := newest_failure(of_workload[workload.uid])) and failed != workload.acknowledged
    )


def _seconds_left(item: Seen) -> float | None:
    if item.judgement is None or item.verdict is not Verdict.LEAKING or not item.judgement.worst.crossing:
        return None
    return (item.judgement.worst.crossing.likely - item.judgement.at).total_seconds()


def policy_facts(
    policy: MemoryPolicy,
    seen: Sequence[Seen],
    missing: Mapping[str, str],
    unread: Mapping[str, str] = MappingProxyType({}),
) -> PolicyFacts:
    """
    What the sweep found out about `policy`.

    `missing` says by policy why its metrics cannot be read, `unread` why its platform cannot.
    """
    mine = [item for item in seen if item.policy.key == policy.key]
    return PolicyFacts(
        generation=policy.generation,
        unread_because=unread.get(policy.key, ""),
        metrics_missing_because=missing.get(policy.key, "") if mine else "",
        remediating=tuple(
            str(item.workload.ref) for item in mine if item.incident and item.incident.replaces_replicas
        ),
        workloads=len(mine),
        leaking=sum(item.verdict is Verdict.LEAKING for item in mine),
        suspect=sum(item.verdict is Verdict.SUSPECT for item in mine),
        unjudged=sum(item.verdict is Verdict.INSUFFICIENT_DATA for item in mine),
        held=sum(item.held for item in mine),
        growing=growing((item.workload.ref, item.judgement) for item in mine if item.judgement),
    )
