"""From policies and workloads to judgements: which policy governs what, and what its memory does."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.detection.assess import assess
from controller.detection.assessment import Assessment
from controller.detection.judgement import Judgement, judge
from controller.inventory.coverage import Conflict, Governed, governing, governs_container
from controller.inventory.workload import Container, Replica, Workload, stem_of
from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.memory_policy import DetectionRules, MemoryPolicy
from controller.ports import MemoryRequest, MemorySource, MetricsUnavailable


@dataclass(frozen=True, slots=True)
class Covered:
    """A workload and the policy that governs it, with the names of those that claim it too."""

    workload: Workload
    policy: MemoryPolicy
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the metrics sources answered."""

    memory: dict[tuple[str, timedelta], BlockMatrix] = field(default_factory=dict)
    """By source and lookback."""
    history: dict[tuple[str, timedelta], BlockMatrix] = field(default_factory=dict)
    """The same, of a longer time in wider blocks; where a source has it."""
    unread: dict[tuple[str, str], str] = field(default_factory=dict)
    """By policy (its key) and namespace: why what is judged by could not be read."""

    @property
    def missing(self) -> dict[str, str]:
        """By policy (its key): why what it is judged by could not be read, somewhere at least."""
        return {key: why for (key, _), why in self.unread.items()}

    def of(self, policy: MemoryPolicy) -> BlockMatrix | None:
        """The memory of what `policy` governs; None where it is missing."""
        return self.memory.get((policy.metrics.source, policy.detection.lookback))


def cover(policies: Sequence[MemoryPolicy], workloads: Sequence[Workload]) -> Iterable[Covered]:
    """
    Every workload that is governed, or that several policies claim.

    An ECS service can be claimed from several namespaces: it is one service, so each claim has a rival.
    """
    covered = [item for workload in workloads if (item := _covered(policies, workload)) is not None]
    claims: dict[str, list[str]] = defaultdict(list)
    for item in covered:
        claims[item.workload.uid].append(item.policy.key)
    for item in covered:
        others = tuple(key for key in claims[item.workload.uid] if key != item.policy.key)
        yield replace(item, rivals=item.rivals + others) if others else item


def _covered(policies: Sequence[MemoryPolicy], workload: Workload) -> Covered | None:
    match governing(policies, workload):
        case Governed(policy=policy):
            return Covered(workload, policy)
        case Conflict(policies=claims):
            return Covered(workload, claims[0], tuple(claim.key for claim in claims[1:]))
        case _:
            return None


async def gather(sources: Mapping[str, MemorySource], covered: Sequence[Covered], now: datetime) -> Gathered:
    """
    One request per source and lookback, for all governed namespaces at once.

    A request rate that is wanted and not known is missing like memory: without it load looks like a leak.
    """
    wanted: dict[tuple[str, timedelta], list[MemoryPolicy]] = defaultdict(list)
    for policy in {(item.policy.key, item.policy.namespace): item.policy for item in covered}.values():
        wanted[policy.metrics.source, policy.detection.lookback].append(policy)
    gathered = Gathered()
    for key, policies in wanted.items():
        try:
            memory = await _source(sources, key[0]).memory(_request(policies), now)
        except MetricsUnavailable as unavailable:
            gathered.unread.update({(one.key, one.namespace): str(unavailable) for one in policies})
            continue
        gathered.memory[key] = memory
        for one in policies:
            if one.metrics.request_rate is not None and one.namespace in memory.rate_unknown:
                gathered.unread[one.key, one.namespace] = memory.rate_unknown[one.namespace]
    # Only now: it must not use up the time in which a slow source would tell somebody's memory.
    for key in gathered.memory:
        history = await history_of(sources[key[0]], _request(wanted[key]), now)
        if history is not None:
            gathered.history[key] = history
    return gathered


def _source(sources: Mapping[str, MemorySource], name: str) -> MemorySource:
    if name not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise MetricsUnavailable(f"no metrics source is called '{name}'; configured are: {known}")
    return sources[name]


async def history_of(source: MemorySource, request: MemoryRequest, now: datetime) -> BlockMatrix | None:
    """
    A longer look back where there is one: a young source has none yet, and is judged without.

    So is a namespace whose request rate is not known for that long: its load would look like a leak.
    """
    if not source.keeps_history:
        return None
    try:
        history = await source.memory(request.longer(), now)
    except MetricsUnavailable:
        return None
    if not history.rate_unknown:
        return history
    return history.of_rows(
        [row for row, key in enumerate(history.keys) if key.namespace not in history.rate_unknown]
    )


def _request(policies: Sequence[MemoryPolicy]) -> MemoryRequest:
    rates = {
        (policy.namespace, policy.metrics.request_rate)
        for policy in policies
        if policy.metrics.request_rate is not None
    }
    return MemoryRequest(
        namespaces=frozenset(policy.namespace for policy in policies),
        lookback=policies[0].detection.lookback,
        request_rates=tuple(sorted(rates, key=str)),
    )


def judge_all(
    covered: Sequence[Covered], gathered: Gathered, now: datetime
) -> list[tuple[Covered, Judgement | None]]:
    """A judgement for every workload that has memory to judge, the most urgent first."""
    assessments = _assess(covered, gathered, now)
    judged = [(item, judge(item.workload, _of(item, assessments))) for item in covered]
    return sorted(judged, key=_urgency)


def _assess(covered: Sequence[Covered], gathered: Gathered, now: datetime) -> dict[ContainerKey, Assessment]:
    """
    Every governed container, in as few calls as there are different rules.

    What vanished lately still stands in memory, where its lives speak for its kind.
    """
    by_rules: dict[tuple[str, DetectionRules], _Kinds] = defaultdict(_Kinds)
    for item in covered:
        if (item.policy.key, item.policy.namespace) in gathered.unread:
            continue
        kinds = by_rules[item.policy.metrics.source, item.policy.detection]
        for replica in item.workload.replicas:
            for container in replica.containers:
                if governs_container(item.policy, container.name):
                    kinds.add(item.workload, replica, container)
    assessments: dict[ContainerKey, Assessment] = {}
    for (source, rules), kinds in by_rules.items():
        matrix = gathered.memory.get((source, rules.lookback))
        history = gathered.history.get((source, rules.lookback))
        if matrix is None:
            continue
        peers = {row: peer for row, key in enumerate(matrix.keys) if (peer := kinds.of(key))}
        part = matrix.of_rows(list(peers))
        assessments.update(
            (one.key, one)
            for one in assess(part, rules, now, history=history, peer_groups=list(peers.values()))
        )
    return assessments


@dataclass(slots=True)
class _Kinds:
    """Which containers were made from the same image and template."""

    named: dict[ContainerKey, str] = field(default_factory=dict)
    of_template: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By namespace, what the names of a ReplicaSet's pods begin with, and container."""

    def add(self, workload: Workload, replica: Replica, container: Container) -> None:
        """A container that runs, or is about to: until it has, nobody knows its image."""
        namespace, digest = workload.ref.namespace, container.image_digest
        kind = f"{workload.uid}/{container.name}/{digest}"
        self.named[ContainerKey(namespace, replica.name, container.name)] = kind
        stem = stem_of(replica.name)
        # Only a ReplicaSet's pods have the hash of their template in their names.
        if digest and replica.revision and stem.endswith(f"-{replica.revision}"):
            self.of_template[namespace, stem, container.name] = kind

    def of(self, key: ContainerKey) -> str | None:
        """The kind of a container of a replica, or of one that is gone; None where nobody knows."""
        return self.named.get(key) or self.of_template.get((key.namespace, stem_of(key.pod), key.container))


def _of(item: Covered, assessments: Mapping[ContainerKey, Assessment]) -> list[Assessment]:
    return [
        assessment
        for replica in item.workload.replicas
        for container in replica.containers
        if (
            assessment := assessments.get(
                ContainerKey(item.workload.ref.namespace, replica.name, container.name)
            )
        )
    ]


def _urgency(pair: tuple[Covered, Judgement | None]) -> tuple[float, str]:
    """Earliest crossing first: whoever needs the free slot most gets it."""
    item, judgement = pair
    crossing = judgement.worst.crossing if judgement else None
    return (crossing.earliest.timestamp() if crossing else float("inf")), str(item.workload.ref)
