"""
A policy over recorded memory, as if the controller had been running: the same detection, the same decision.

What cannot be replayed is the effect of an act: the recording goes on as it did. So the cooldown and the
budget hold after a remediation, and the memory keeps growing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import chain, groupby

import numpy as np

from controller.decision.decide import decide
from controller.decision.history import RemediationHistory
from controller.decision.outcome import Action, Decision, Reason
from controller.decision.situation import Captured, Powers, Situation
from controller.detection.assess import ROWS_AT_ONCE, assess
from controller.detection.assessment import Assessment, Verdict
from controller.detection.judgement import judge
from controller.detection.timeline import Indices
from controller.inventory.coverage import governs_container
from controller.inventory.workload import (
    Container,
    Platform,
    Replica,
    RolloutState,
    Workload,
    WorkloadRef,
    stem_of,
)
from controller.metrics.recorded_memory import RecordedMemory, stacked
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import MemoryPolicy, WorkloadKind
from controller.ports import MemoryRequest
from controller.sweep.attending import capture_stage

_POD_OF_DEPLOYMENT = re.compile(
    r"^(?P<name>.+)-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$"
)
"""Names that only a Deployment's pods have: the alphabet of Kubernetes' safe random strings."""

_HASHED = (WorkloadKind.DEPLOYMENT, WorkloadKind.ROLLOUT)
"""Their pods have the same names; those of other kinds lack the hash of a template."""

PHASES = 6
"""Looks that can be judged together recur with the wide blocks of history: at ten minutes, six an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of verdict or action of one container."""

    at: datetime
    assessment: Assessment
    action: Action
    action_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerResult:
    """Everything that would have been said about one container."""

    key: ContainerKey
    workload: WorkloadRef | None
    transitions: tuple[Transition, ...]
    remediated_at: tuple[datetime, ...] = ()
    """Every time its workload would have been restarted because of it."""
    crossed_at: datetime | None = None
    """When it was first seen at its threshold or above."""

    @property
    def crossed_unremediated(self) -> bool:
        """It was at its threshold before anything was done."""
        acted_at = self.remediated_at[0] if self.remediated_at else None
        return self.crossed_at is not None and (acted_at is None or self.crossed_at < acted_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """Everything that would have been said and done."""

    results: tuple[ContainerResult, ...]
    evaluations: int
    remediations: int
    """Restarts of workloads, however many of their containers leaked."""
    captures: int
    """Of workloads, too."""
    begin: datetime | None
    end: datetime | None


@dataclass(slots=True)
class _Track:
    """What one container was told."""

    verdict: Verdict | None = None
    action: Action | None = None
    transitions: list[Transition] = field(default_factory=list)
    remediated_at: list[datetime] = field(default_factory=list)
    crossed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What a look says about one container."""

    moment: int
    workload: WorkloadRef | None
    track: _Track
    assessment: Assessment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    """One moment: the rows that are held then, and the places in them of those that run."""

    moment: int
    rows: Indices
    running: Indices


@dataclass(slots=True)
class _Episode:
    """What was done to one workload so far."""

    remediated_at: list[datetime] = field(default_factory=list)
    captures: int = 0
    captured: Captured = Captured.NOTHING
    """Since the last remediation."""
    leaked_at: dict[ContainerKey, datetime] = field(default_factory=dict)
    """When each container was last found to."""


def block_seconds_for(policy: MemoryPolicy, sample_interval_seconds: float) -> int:
    """The block width the controller would use for these samples."""
    request = MemoryRequest(namespaces=frozenset(), lookback=policy.detection.lookback)
    share = request.lookback.total_seconds() / request.blocks
    return max(int(np.ceil(share)), int(np.ceil(sample_interval_seconds)), 1)


def run_backtest(
    policy: MemoryPolicy, recordings: Sequence[RecordedMemory], step: timedelta
) -> BacktestResult:
    """
    Evaluates the recordings every `step` of recorded time, from their first sample to their last.

    The last look is no later than the end of all recordings: nobody knows what came then.
    They show one world: a workload whose replicas stand in several of them is decided about once. Only in one
    recording are replicas compared with each other, because their blocks are.
    """
    seconds = max(int(step.total_seconds()), 1)
    end = max((recorded.end for recorded in recordings), default=0)
    replays = [_Replay(policy, recorded, seconds, end) for recorded in recordings]
    episodes = _Decisions(policy).decide_all(_in_time(replays))
    begins = [float(recorded.first.min()) for recorded in recordings]
    ends = [float(recorded.last.max()) for recorded in recordings]
    return BacktestResult(
        results=tuple(result for replay in replays for result in replay.results()),
        evaluations=len({moment for replay in replays for moment in replay.moments}),
        remediations=sum(len(episode.remediated_at) for episode in episodes.values()),
        captures=sum(episode.captures for episode in episodes.values()),
        begin=datetime.fromtimestamp(min(begins), UTC) if begins else None,
        end=datetime.fromtimestamp(max(ends), UTC) if ends else None,
    )


def workload_of(key: ContainerKey) -> WorkloadRef | None:
    """The Deployment a pod's name can only belong to; None where the name does not prove one."""
    match = _POD_OF_DEPLOYMENT.match(key.pod)
    if match is None:
        return None
    return WorkloadRef(
        platform=Platform.KUBERNETES, namespace=key.namespace, kind="Deployment", name=match["name"]
    )


def template_of(key: ContainerKey) -> str | None:
    """Names what was made from the same template; None where the pod's name does not prove one."""
    if workload_of(key) is None:
        return None
    return f"{key.namespace}/{stem_of(key.pod)}/{key.container}"


def may_govern(policy: MemoryPolicy, key: ContainerKey) -> bool:
    """
    Whether `policy` may reach the pod of `key`: not where it names workloads, and the pod's name another.

    Labels are in no recording, so a selector takes in everything. A recording of another namespace is
    replayed as if it were the policy's own.
    """
    shown = workload_of(key)
    if shown is None or not policy.target.workloads:
        return True
    return any(
        named.name == (shown.name if named.kind in _HASHED else stem_of(key.pod))
        for named in policy.target.workloads
    )


class _Replay:
    """One recording: what is judged of it at every moment, and what its containers were told."""

    def __init__(self, policy: MemoryPolicy, recorded: RecordedMemory, step: int, end: int) -> None:
        self.policy = policy
        self.recorded = recorded
        self.step = step
        self.moments = _moments(recorded, step, end)
        request = MemoryRequest(namespaces=frozenset(), lookback=policy.detection.lookback)
        lookback = request.lookback.total_seconds()
        self.blocks = max(int(lookback) // recorded.block_seconds, 1)
        longer = request.longer()
        wide = longer.lookback.total_seconds() / longer.blocks
        self.history = recorded.widened(max(round(wide / recorded.block_seconds), 1))
        self.history_blocks = max(int(longer.lookback.total_seconds()) // self.history.block_seconds, 1)
        self.workloads = [workload_of(key) for key in recorded.keys]
        self.templates = [template_of(key) for key in recorded.keys]
        self.tracks = [_Track() for _ in recorded.keys]

    def judged(self) -> Iterator[_Judged]:
        """Everything that runs, moment after moment; many looks are judged at once."""
        waiting: list[_Look] = []
        for look in filter(None, map(self._look, self.moments)):
            waiting.append(look)
            if sum(len(one.rows) for one in waiting) >= ROWS_AT_ONCE * PHASES:
                yield from self._judge(waiting)
                waiting = []
        yield from self._judge(waiting)

    def results(self) -> Iterator[ContainerResult]:
        """One entry per container, in the order of their names."""
        for row, key in enumerate(self.recorded.keys):
            track = self.tracks[row]
            yield ContainerResult(
                key=key,
                workload=self.workloads[row],
                transitions=tuple(track.transitions),
                remediated_at=tuple(track.remediated_at),
                crossed_at=track.crossed_at,
            )

    def _look(self, moment: int) -> _Look | None:
        """Whom a look at `moment` concerns; None where nothing runs."""
        recorded = self.recorded
        runs = (recorded.last + self.step > moment) & (recorded.first <= moment)
        if not runs.any():
            return None
        # What vanished lately still stands in the ring, where its lives speak for its kind.
        held = recorded.last > moment - self.policy.detection.lookback.total_seconds()
        rows = np.flatnonzero((recorded.first <= moment) & held)
        return _Look(moment=moment, rows=rows, running=np.flatnonzero(runs[rows]))

    def _judge(self, looks: Sequence[_Look]) -> Iterator[_Judged]:
        width, wide = self.recorded.block_seconds, self.history.block_seconds
        phases: dict[tuple[int, int], list[_Look]] = {}
        for look in looks:
            phases.setdefault((look.moment % width, look.moment // width * width % wide), []).append(look)
        said: dict[int, tuple[Assessment, ...]] = {}
        for same in phases.values():
            said.update(self._assess(same))
        for look in looks:
            assessments = said.pop(look.moment)
            for index in look.running:
                row = int(look.rows[index])
                yield _Judged(
                    moment=look.moment,
                    workload=self.workloads[row],
                    track=self.tracks[row],
                    assessment=assessments[index],
                )

    def _assess(self, looks: Sequence[_Look]) -> dict[int, tuple[Assessment, ...]]:
        """The assessments of looks whose blocks end equally long before them."""
        width, wide = self.recorded.block_seconds, self.history.block_seconds
        recent = [self.recorded.until(look.moment // width * width, self.blocks, look.rows) for look in looks]
        older = [
            self.history.until(look.moment // wide * wide, self.history_blocks, look.rows) for look in looks
        ]
        moments = [datetime.fromtimestamp(look.moment, UTC) for look in looks]
        counts = [len(look.rows) for look in looks]
        said = assess(
            stacked(recent),
            self.policy.detection,
            moments[0],
            history=stacked(older),
            peer_groups=[self._group(int(row), look.moment) for look in looks for row in look.rows],
            moments=[moment for moment, count in zip(moments, counts, strict=True) for _ in range(count)],
        )
        ends = np.cumsum(counts).tolist()
        return {
            look.moment: said[end - count : end] for look, count, end in zip(looks, counts, ends, strict=True)
        }

    def _group(self, row: int, moment: int) -> str | None:
        template = self.templates[row]
        return None if template is None else f"{moment}/{template}"


def _moments(recorded: RecordedMemory, step: int, end: int) -> tuple[int, ...]:
    """When it is looked at, in unix seconds: at whole steps, and instead of one after `end` at `end`."""
    first = -(-int(recorded.first.min()) // step) * step
    return tuple(min(moment, end) for moment in range(first, int(recorded.last.max()) + step, step))


def _in_time(replays: Sequence[_Replay]) -> Iterator[_Judged]:
    """What all of them judge, in the order of time; of those that follow each other one is held at a time."""
    by_width: dict[int, list[_Replay]] = {}
    for replay in sorted(replays, key=lambda one: one.moments[0]):
        by_width.setdefault(replay.recorded.block_seconds, []).append(replay)
    rows = (chain.from_iterable(one.judged() for one in same) for same in by_width.values())
    return merge(*rows, key=lambda one: one.moment)


class _Decisions:
    """What is decided about every workload, and what was done to it so far."""

    def __init__(self, policy: MemoryPolicy) -> None:
        self.policy = policy
        self.episodes: dict[WorkloadRef | ContainerKey, _Episode] = {}

    def decide_all(self, judged: Iterator[_Judged]) -> Mapping[WorkloadRef | ContainerKey, _Episode]:
        """Decides moment after moment, and tells the containers; answers what was done."""
        for moment, seen in groupby(judged, key=lambda one: one.moment):
            now = datetime.fromtimestamp(moment, UTC)
            for name, members in _by_workload(seen).items():
                decision, cause = self._decide(name, members, now)
                for one in members:
                    _tell(one.track, one.assessment, decision if one.assessment.key in cause else None)
        return self.episodes

    def _decide(
        self, name: WorkloadRef | ContainerKey, members: Sequence[_Judged], now: datetime
    ) -> tuple[Decision | None, frozenset[ContainerKey]]:
        """The workload's decision, and the containers that are its cause."""
        assessments = [one.assessment for one in members]
        governed = [
            one
            for one in assessments
            if may_govern(self.policy, one.key) and governs_container(self.policy, one.key.container)
        ]
        workload = _workload(members[0].workload, assessments, now)
        judgement = judge(workload, governed)
        if judgement is None:
            return None, frozenset()
        episode = self.episodes.setdefault(name, _Episode())
        situation = Situation(
            policy=self.policy,
            workload=workload,
            judgement=judgement,
            now=now,
            history=RemediationHistory(remediated_at=tuple(episode.remediated_at)),
            powers=Powers(),
            captured=episode.captured,
            leaked_at=episode.leaked_at.get(judgement.worst.key),
            kept_heap=episode.captured is not Captured.NOTHING,
        )
        decision = decide(situation)
        episode.leaked_at |= {one.key: now for one in governed if one.verdict is Verdict.LEAKING}
        if decision.action is Action.REMEDIATE:
            episode.remediated_at.append(now)
            episode.captured, episode.leaked_at = Captured.NOTHING, {}
        elif decision.action is Action.CAPTURE:
            episode.captures += 1
            episode.captured = capture_stage(situation)
        worst = judgement.worst
        cause = {one.key for one in governed if one.verdict is worst.verdict is Verdict.LEAKING}
        return decision, frozenset(cause | {worst.key})


def _by_workload(seen: Iterator[_Judged]) -> dict[WorkloadRef | ContainerKey, list[_Judged]]:
    """A container whose workload is unknown stands alone."""
    grouped: dict[WorkloadRef | ContainerKey, list[_Judged]] = {}
    for one in seen:
        grouped.setdefault(one.workload or one.assessment.key, []).append(one)
    return grouped


def _tell(track: _Track, assessment: Assessment, decision: Decision | None) -> None:
    action = Action.NONE if decision is None else decision.action
    reason = Reason.NOTHING_TO_DO if decision is None else decision.reason
    if action is Action.REMEDIATE:
        track.remediated_at.append(assessment.at)
    used, threshold = assessment.used_bytes, assessment.threshold_bytes
    if track.crossed_at is None and used is not None and threshold and used >= threshold:
        track.crossed_at = assessment.at
    if track.verdict is assessment.verdict and track.action is action:
        return
    track.verdict, track.action = assessment.verdict, action
    track.transitions.append(
        Transition(at=assessment.at, assessment=assessment, action=action, action_reason=reason)
    )


def _workload(ref: WorkloadRef | None, assessments: Sequence[Assessment], now: datetime) -> Workload:
    """The workload as its recordings show it: its replicas run, are ready, and nothing is rolled out."""
    pods = sorted({assessment.key.pod for assessment in assessments})
    replicas = tuple(
        Replica(
            name=pod,
            uid=pod,
            created_at=now,
            ready=True,
            address=None,
            containers=tuple(
                Container(
                    name=one.key.container,
                    image="",
                    image_digest=None,
                    memory_limit_bytes=one.limit_bytes,
                    started_at=one.started_at,
                )
                for one in assessments
                if one.key.pod == pod
            ),
        )
        for pod in pods
    )
    key = assessments[0].key
    stand_in = WorkloadRef(
        platform=Platform.KUBERNETES, namespace=key.namespace, kind="Pod", name=f"{key.pod}/{key.container}"
    )
    return Workload(
        ref=ref or stand_in,
        uid=str(ref or key),
        resource_version="",
        generation=0,
        created_at=now,
        labels=(),
        desired_replicas=len(pods),
        ready_replicas=len(pods),
        replicas=replicas,
        rollout=RolloutState.STEADY,
    )
