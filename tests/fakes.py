"""One recording fake per port, and builders that start from the interesting case: a leak near the line."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from controller.decision.situation import Situation, UnderWay
from controller.detection.assessment import Assessment, Crossing, Growth, GrowthClass, Verdict
from controller.detection.judgement import Judgement, judge
from controller.evidence.capture_plan import CapturePlan
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import ContextPlan
from controller.inventory.workload import Container, Platform, Replica, RolloutState, Workload, WorkloadRef
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import (
    EvidenceRules,
    LabelSelector,
    MemoryPolicy,
    Mode,
    PprofRule,
    Target,
)
from controller.ports import (
    EvidenceUnavailable,
    FiringAlert,
    MemoryRequest,
    RemediationRefused,
    ServiceRequest,
    World,
)
from controller.remediation.order import Leftover, Order, Receipt, ReceiptOutcome
from controller.remediation.stepping import Act, begun, next_step, whole
from controller.reporting.census import Census
from controller.reporting.incident import DiagnosisRecord, Incident
from controller.reporting.incident_document import from_document, to_document
from controller.reporting.messages import Delivery, Message, Route
from controller.reporting.notices import Notice
from controller.reporting.policy_status import PolicyFacts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MIB = 2**20
REF = WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api")


def a_policy(**changes: Any) -> MemoryPolicy:
    policy = MemoryPolicy(
        namespace="shop",
        name="api",
        uid="policy-uid",
        generation=1,
        mode=Mode.REMEDIATE,
        target=Target(selector=LabelSelector(match_labels=(("app", "api"),))),
        evidence=EvidenceRules(pprof=(PprofRule(container="app", port=6060),)),
    )
    return replace(policy, **changes)


def a_replica(name: str = "api-1", **changes: Any) -> Replica:
    container = Container(
        name="app",
        image="registry.example/api:1",
        image_digest="sha256:" + "a" * 64,
        memory_limit_bytes=512 * MIB,
        started_at=NOW - timedelta(hours=20),
    )
    replica = Replica(
        name=name,
        uid=f"uid-{name}",
        created_at=NOW - timedelta(hours=20),
        ready=True,
        address="10.0.0.7",
        containers=(container,),
        revision="r1",
    )
    return replace(replica, **changes)


def a_workload(**changes: Any) -> Workload:
    workload = Workload(
        ref=REF,
        uid="workload-uid",
        resource_version="100",
        generation=3,
        created_at=NOW - timedelta(days=30),
        labels=(("app", "api"),),
        desired_replicas=2,
        ready_replicas=2,
        replicas=(a_replica("api-1"), a_replica("api-2")),
        rollout=RolloutState.STEADY,
    )
    return replace(workload, **changes)


def an_assessment(pod: str = "api-1", **changes: Any) -> Assessment:
    assessment = Assessment(
        key=ContainerKey("shop", pod, "app"),
        at=NOW,
        verdict=Verdict.LEAKING,
        reason="GrowthLasts",
        message="grows 20 MiB/h",
        growth_class=GrowthClass.HEAP,
        growth=Growth(bytes_per_hour=20 * MIB, low_bytes_per_hour=18 * MIB, high_bytes_per_hour=22 * MIB),
        crossing=Crossing(
            earliest=NOW + timedelta(minutes=20),
            likely=NOW + timedelta(minutes=25),
            latest=NOW + timedelta(minutes=40),
        ),
        used_bytes=350 * MIB,
        limit_bytes=512 * MIB,
        threshold_bytes=358 * MIB,
        young_floor_bytes=60 * MIB,
        started_at=NOW - timedelta(hours=20),
    )
    return replace(assessment, **changes)


def a_judgement(workload: Workload | None = None, **changes: Any) -> Judgement:
    workload = workload or a_workload()
    judgement = judge(workload, [an_assessment(one.name, **changes) for one in workload.replicas])
    assert judgement is not None
    return judgement


def an_act(workload: str = "Deployment shop/cart", **changes: Any) -> UnderWay:
    """A remediation that is under way, in the same namespace."""
    return replace(UnderWay(workload=workload, namespace="shop"), **changes)


def a_leaking_situation(**changes: Any) -> Situation:
    """Everything is in order and the threshold is near: without changes it is remediated."""
    situation = Situation(policy=a_policy(), workload=a_workload(), judgement=a_judgement(), now=NOW)
    return replace(situation, **changes)


class FakeInventory:
    def __init__(self, *workloads: Workload) -> None:
        self.standing = {workload.ref: workload for workload in workloads}
        self.unread: dict[str, str] = {}
        self.before_look: Callable[[], None] = lambda: None
        """What becomes visible with time."""

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        self.before_look()
        return tuple(one for one in self.standing.values() if one.ref.namespace in namespaces)

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        self.before_look()
        return self.standing.get(ref)


class FakeRemediator:
    """
    Changes a workload of the inventory for real: new replicas, a new generation, a mark.

    A replacement is ready `replicas_start_in` after it was made; None: never.
    """

    replicas_start_in: timedelta | None = timedelta(0)

    def __init__(self, inventory: FakeInventory, clock: "FakeClock") -> None:
        self._inventory = inventory
        self._clock = clock
        self.carried_out: list[Order] = []
        self.acts: list[tuple[str, str]] = []
        """Everything that was done, and to what."""
        inventory.before_look = self.time_passes
        self.refusal = ""

    async def find(self, order: Order) -> Receipt | None:
        if order.stepwise:
            workload = self._inventory.standing[order.workload]
            done = begun(order, workload)
            return _receipt(order, ReceiptOutcome.ALREADY_DONE, workload) if done else None
        if order not in self.carried_out:
            return None
        generation = self._inventory.standing[order.workload].generation
        return Receipt(outcome=ReceiptOutcome.ALREADY_DONE, at=order.issued_at, generation=generation)

    async def carry_out(self, order: Order) -> Receipt:
        if self.refusal:
            raise RemediationRefused(self.refusal)
        if order.stepwise:
            return self._step(order)
        if found := await self.find(order):
            return found
        workload = self._inventory.standing[order.workload]
        if workload.generation != order.expected_generation:
            raise RemediationRefused("changed since it was judged")
        self.carried_out.append(order)
        self.acts.append(("Restart", workload.ref.name))
        # A Rollout's pods are made anew of the same revision.
        same = workload.ref.kind == "Rollout"
        revision = workload.template_revision if same else f"r{workload.generation + 1}"
        self._inventory.standing[order.workload] = replace(
            workload,
            generation=workload.generation + 1,
            remediated_at=order.issued_at,
            template_revision=revision,
            replicas=tuple(
                a_replica(f"{one.name}-new", created_at=self._clock.now, revision=revision)
                for one in workload.replicas
            ),
        )
        return Receipt(outcome=ReceiptOutcome.DONE, at=order.issued_at, generation=workload.generation + 1)

    def _step(self, order: Order) -> Receipt:
        workload = self._inventory.standing[order.workload]
        step = next_step(order, workload)
        if step.act is Act.WAIT and not begun(order, workload):
            raise RemediationRefused(step.waits_for)
        if step.replica is None:
            return _receipt(order, ReceiptOutcome.ALREADY_DONE, workload, step.waits_for)
        self.acts.append((step.act, step.replica.name))
        others = tuple(one for one in workload.replicas if one.uid != step.replica.uid)
        if step.act is Act.RELEASE:
            others += (replace(step.replica, released_for=order.id), self._successor(step.replica))
        if step.act is Act.EVICT:
            others += (self._successor(step.replica),)
        self._stand(replace(workload, replicas=others))
        return _receipt(order, ReceiptOutcome.DONE, workload)

    async def tidy(self, unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        ended = []
        for workload in list(self._inventory.standing.values()):
            for one in workload.replicas:
                if not one.released_for or one.released_for in unfinished:
                    continue
                others = tuple(other for other in workload.replicas if other is not one)
                returned = not whole(workload)
                if returned:
                    others = (*(other for other in others if other.ready), replace(one, released_for=""))
                self._stand(replace(workload, replicas=others))
                ended.append(
                    Leftover(
                        incident=one.released_for,
                        namespace=workload.ref.namespace,
                        replica=one.name,
                        replica_uid=one.uid,
                        returned=returned,
                    )
                )
        return tuple(ended)

    def time_passes(self) -> None:
        """What was made long enough ago is ready."""
        wait = self.replicas_start_in
        for workload in list(self._inventory.standing.values()):
            due = {
                one.uid
                for one in workload.replicas
                if not one.ready and wait is not None and one.created_at + wait <= self._clock.now
            }
            if due:
                replicas = tuple(replace(one, ready=one.ready or one.uid in due) for one in workload.replicas)
                self._stand(replace(workload, replicas=replicas))

    def _successor(self, old: Replica) -> Replica:
        name = old.name if self._bears_the_same_name(old) else f"{old.name}-new"
        return a_replica(name, uid=f"{old.uid}-new", created_at=self._clock.now, ready=False)

    def _bears_the_same_name(self, old: Replica) -> bool:
        return any(
            old in workload.replicas and workload.ref.kind == "StatefulSet"
            for workload in self._inventory.standing.values()
        )

    def _stand(self, workload: Workload) -> None:
        ready = sum(one.ready and not one.released_for for one in workload.replicas)
        self._inventory.standing[workload.ref] = replace(workload, ready_replicas=ready)


def _receipt(order: Order, outcome: ReceiptOutcome, workload: Workload, waits_for: str = "") -> Receipt:
    return Receipt(outcome=outcome, at=order.issued_at, generation=workload.generation, waits_for=waits_for)


class FakeProfiler:
    def __init__(self) -> None:
        self.plans: list[CapturePlan] = []
        self.protected: tuple[str, ...] | None = None
        self.failure = ""
        self.unreadable = False

    async def capture(self, plan: CapturePlan) -> tuple[KeptFile, ...]:
        self.plans.append(plan)
        kept = KeptFile(
            kind=FileKind.HEAP,
            label=plan.label,
            replica=plan.replica,
            container=plan.container,
            captured_at=NOW,
            uri="" if self.failure else f"file:///{plan.folder}/{plan.label}.pb.gz",
            sha256="" if self.failure else "0" * 64,
            size_bytes=0 if self.failure else 1000,
            failure=self.failure,
        )
        return (kept,)

    async def holds(self, folder: str) -> bool:
        if self.unreadable:
            raise EvidenceUnavailable("the store went away")
        return any(plan.folder == folder for plan in self.plans)

    def protect(self, folders: Collection[str], /) -> None:
        self.protected = tuple(folders)


class FakeContextKeeper:
    def __init__(self) -> None:
        self.plans: list[ContextPlan] = []

    async def keep(self, plan: ContextPlan) -> tuple[KeptFile, ...]:
        self.plans.append(plan)
        kept = KeptFile(
            kind=FileKind.CONTEXT,
            label=plan.label,
            replica=plan.replica,
            container=plan.container,
            captured_at=NOW,
            uri=f"file:///{plan.folder}/{plan.label}-context.json",
            sha256="0" * 64,
            size_bytes=100,
        )
        return (kept,)


class FakeDiagnostician:
    async def diagnose(
        self,
        kept: Sequence[KeptFile],
        baseline_folder: str,
        *,
        rss_bytes: int | None,
        limit_bytes: int | None,
    ) -> DiagnosisRecord | None:
        return DiagnosisRecord(summary="main.keep holds 90 % of the growth")


class FakeReporter:
    def __init__(self) -> None:
        self.written: list[tuple[Incident, BlockMatrix | None]] = []
        self.fails = False

    async def write(
        self,
        incident: Incident,
        workload: Workload | None,
        memory: BlockMatrix | None,
        now: datetime,
    ) -> str:
        self.written.append((incident, memory))
        return "" if self.fails else f"file:///{incident.folder}/report.html"


class FakeService:
    """Tells how requests are served: what stands in `levels`, the first one first, then the last for ever."""

    def __init__(self) -> None:
        self.levels: list[ServiceLevel | Exception] = []
        self.asked: list[tuple[ServiceRequest, datetime]] = []

    async def service_level(self, request: ServiceRequest, now: datetime) -> ServiceLevel:
        self.asked.append((request, now))
        level = self.levels.pop(0) if len(self.levels) > 1 else self.levels[0]
        if isinstance(level, Exception):
            raise level
        return level


class FakeRecords:
    """Incidents pass through their document form, as they do in a cluster."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.writes = 0
        self.statuses: dict[str, PolicyFacts] = {}

    async def incidents(self) -> tuple[Incident, ...]:
        return tuple(from_document(document) for document in self.stored.values())

    async def create(self, incident: Incident) -> Incident:
        if incident.name in self.stored:
            return from_document(self.stored[incident.name])
        return await self.update(incident)

    async def update(self, incident: Incident) -> Incident:
        self.writes += 1
        annotations = self.stored.get(incident.name, {}).get("metadata", {}).get("annotations", {})
        self.stored[incident.name] = to_document(incident)
        self.stored[incident.name]["metadata"]["annotations"] = annotations
        return from_document(self.stored[incident.name])

    async def remove(self, incident: Incident) -> None:
        del self.stored[incident.name]

    async def policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        self.statuses[f"{namespace}/{name}"] = facts

    @property
    def only(self) -> Incident:
        (document,) = self.stored.values()
        return from_document(document)


class FakeAnnouncer:
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    async def announce(self, notices: Sequence[Notice], /) -> None:
        self.notices += notices

    @property
    def reasons(self) -> list[str]:
        return [notice.reason for notice in self.notices]


class FakeMessenger:
    """Delivers at once; what it was given stands in `sent`."""

    def __init__(self) -> None:
        self.routes: tuple[Route, ...] = ()
        self.maximum_age = timedelta(hours=1)
        self.sent: list[Message] = []
        self.failure = ""
        self._ended: list[Delivery] = []

    def send(self, message: Message) -> bool:
        self.sent.append(message)
        self._ended.append(Delivery(message=message, thread="thread-1", failure=self.failure))
        return True

    def ended(self) -> Sequence[Delivery]:
        ended, self._ended = self._ended, []
        return ended


class FakeLeadership:
    def __init__(self) -> None:
        self.leads = True

    async def confirm(self) -> bool:
        return self.leads


class FakeTelemetry:
    def held(self, namespace: str, reason: str) -> None: ...

    def remediated(self, namespace: str, mechanism: str) -> None: ...

    def recovered(self, namespace: str, outcome: str) -> None: ...

    def captured(self, kind: str, outcome: str) -> None: ...

    def notified(self, receiver: str, outcome: str) -> None: ...

    def failed(self, part: str) -> None: ...

    def swept(self, census: Census, duration_seconds: float, now: datetime) -> None: ...


class FakeMemory:
    """Memory of every container that was ever told: `levels[key]` from its start to now, in bytes."""

    keeps_history = False

    def __init__(self, clock: "FakeClock") -> None:
        self._clock = clock
        self.levels: dict[ContainerKey, tuple[datetime, Sequence[float]]] = {}
        self.failure: Exception | None = None

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        if self.failure is not None:
            raise self.failure
        blocks, width = 576, request.lookback.total_seconds() / 576
        rows, starts = [], []
        for started_at, levels in self.levels.values():
            age = (now - started_at).total_seconds()
            ages = age - width * np.arange(blocks - 1, -1, -1)
            at = np.clip(ages, 0, None) / max(age, 1) * (len(levels) - 1)
            row = np.interp(at, np.arange(len(levels)), levels)
            rows.append(np.where(ages < 0, np.nan, row))
            starts.append(np.where(ages < 0, np.nan, -age))
        floor = np.array(rows, dtype=np.float32)
        limit = np.full_like(floor, 512 * MIB)
        return BlockMatrix(
            keys=tuple(self.levels),
            end=now.timestamp(),
            block_seconds=width,
            signals={
                Signal.RSS_FLOOR: floor,
                Signal.RSS_TOP: floor,
                Signal.WORKING_SET_FLOOR: floor,
                Signal.WORKING_SET_TOP: floor,
                Signal.LIMIT: limit,
                Signal.START_TIME: np.array(starts, dtype=np.float32),
            },
        )


class FakeAlerts:
    """Alerts that fire, or why that is not known."""

    def __init__(self) -> None:
        self.firing_now: tuple[FiringAlert, ...] = ()
        self.failure: Exception | None = None

    async def firing(self, now: datetime, began_at: datetime) -> tuple[FiringAlert, ...]:
        if self.failure is not None:
            raise self.failure
        return self.firing_now


class FakeClock:
    def __init__(self) -> None:
        self.now = NOW

    def pass_time(self, span: timedelta) -> datetime:
        self.now += span
        return self.now


class FakeWorld:
    """Everything outside, and what it recorded."""

    acts: list[tuple[str, str]]
    """What was done on the platform, and to what."""

    def __init__(self, *workloads: Workload) -> None:
        self.clock = FakeClock()
        self.inventory = FakeInventory(*workloads)
        self.remediator: Any = FakeRemediator(self.inventory, self.clock)
        self.acts = self.remediator.acts
        self.profiler = FakeProfiler()
        self.context = FakeContextKeeper()
        self.reporter = FakeReporter()
        self.records = FakeRecords()
        self.announcer = FakeAnnouncer()
        self.messenger = FakeMessenger()
        self.leadership = FakeLeadership()
        self.memory = FakeMemory(self.clock)
        self.alerts = FakeAlerts()
        self.service = FakeService()

    @property
    def ports(self) -> World:
        return World(
            memory_sources={"default": self.memory},
            alert_sources={"default": self.alerts},
            service_sources={"default": self.service},
            inventory=self.inventory,
            remediator=self.remediator,
            profiler=self.profiler,
            context=self.context,
            diagnostician=FakeDiagnostician(),
            reporter=self.reporter,
            records=self.records,
            announcer=self.announcer,
            messenger=self.messenger,
            leadership=self.leadership,
            telemetry=FakeTelemetry(),
            clock=lambda: self.clock.now,
        )
