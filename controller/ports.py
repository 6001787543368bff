"""
Every question asked of the world, as Protocols, on one page.

`wiring.py` answers them with adapters from `clients/` and `platforms/`; tests answer them with fakes.
Only adapters raise:

    WorldError
    ├── MetricsUnavailable    the sweep holds what depends on them and says so
    ├── PlatformUnavailable   the sweep ends early and is tried again
    ├── EvidenceUnavailable   what needs to know what is kept is tried again; nothing waits for it
    ├── RemediationRefused    the platform said no: changed revision, forbidden, gone, lease lost
    └── OutcomeUnknown        the platform's answer was lost: nothing is repeated until it is known
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from controller.evidence.capture_plan import CapturePlan
from controller.evidence.kept import KeptFile
from controller.evidence.replica_context import ContextPlan
from controller.inventory.workload import Workload, WorkloadRef
from controller.metrics.series import BlockMatrix
from controller.metrics.service_level import ServiceLevel
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import RequestRate, VerificationRules
from controller.remediation.order import Leftover, Order, Receipt
from controller.reporting.census import Census
from controller.reporting.incident import DiagnosisRecord, Incident
from controller.reporting.messages import Delivery, Message, Route
from controller.reporting.notices import Notice
from controller.reporting.policy_status import PolicyFacts


class WorldError(Exception):
    """Something outside did not answer as it must."""


class MetricsUnavailable(WorldError):
    """The metrics source cannot be trusted now: unreachable, refused, partial or empty."""


class PlatformUnavailable(WorldError):
    """The platform's API did not answer."""


class EvidenceUnavailable(WorldError):
    """The evidence store cannot be read now: whether a file is kept is not known."""


class RemediationRefused(WorldError):
    """The platform refused the act, or what it would act on has changed. Nothing was done."""


class OutcomeUnknown(WorldError):
    """The act was asked for and the answer never came. It may have been done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRequest:
    """Which memory is wanted: all containers of these namespaces, that far back."""

    namespaces: frozenset[str]
    lookback: timedelta
    blocks: int = 576
    """How many blocks the lookback is cut into; a block is never shorter than the source's samples."""
    request_rates: tuple[tuple[str, RequestRate], ...] = ()
    """Pairs of namespace and rate."""
    history: bool = False
    """Whether this is the time before the lookback, of which fewer signals are needed."""

    def longer(self) -> "MemoryRequest":
        """The same for five times as long in wide blocks: the `history` of `detection.assess`."""
        return replace(self, lookback=5 * self.lookback, blocks=240, history=True)


class Policies(Protocol):
    """Which policies there are: asked by every sweep, and again just before an act."""

    async def book(self) -> PolicyBook:
        """All policies now. Raises PlatformUnavailable."""
        ...


class MemorySource(Protocol):
    """A metrics source, configured by name."""

    keeps_history: bool
    """Whether `MemoryRequest.longer` costs it next to nothing."""

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        """Blocks up to `now` for every container of the request. Raises MetricsUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """Whose requests are looked at, and by which metrics: those of `rules` that are set."""

    namespace: str
    replicas: tuple[str, ...]
    """Names, at least one."""
    rules: VerificationRules
    window: timedelta


class ServiceSource(Protocol):
    """A metrics source that tells how workloads serve their requests, too."""

    async def service_level(self, request: ServiceRequest, now: datetime) -> ServiceLevel:
        """How requests were served in the window up to `now`. Raises MetricsUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringAlert:
    """An alert that fires now."""

    name: str
    namespace: str = ""
    """Of its label; empty where it has none."""


class AlertSource(Protocol):
    """A metrics source that evaluates alerts, too."""

    async def firing(self, now: datetime, began_at: datetime) -> tuple[FiringAlert, ...]:
        """
        Every alert that fires at `now`. Raises MetricsUnavailable.

        `began_at`: when the sweep that asks began. A silent source is not waited for in each of its looks.
        """
        ...


class Inventory(Protocol):
    """What runs."""

    @property
    def unread(self) -> Mapping[str, str]:
        """
        By policy (`namespace/name`): why its part of the platform could not be read in the last `workloads`.

        What runs there is not known, which is not the same as gone.
        """
        ...

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        """Every workload of these namespaces. Raises PlatformUnavailable where nothing could be read."""
        ...

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        """A fresh look at one workload; None where it is gone."""
        ...


class Remediator(Protocol):
    """The only one that changes a workload."""

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order that was carried out already; None where there is no mark of it."""
        ...

    async def carry_out(self, order: Order) -> Receipt:
        """
        Does what is ordered, at most once; a repeated order finds its own mark and says so.

        An order for several replicas takes one step at a time and is called again until all are new.

        Raises RemediationRefused where the workload is not what the order expects, OutcomeUnknown where the
        answer was lost.
        """
        ...

    async def tidy(self, unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        """
        Ends what orders left behind that nobody finishes any more; says what it did.

        `unfinished` are the ids of the orders that are still being carried out. Raises PlatformUnavailable,
        RemediationRefused.
        """
        ...


class Profiler(Protocol):
    """Takes profiles from replicas and keeps them."""

    async def capture(self, plan: CapturePlan) -> tuple[KeptFile, ...]:
        """Everything the plan could get; what it could not get is told in the file's place."""
        ...

    async def holds(self, folder: str) -> bool:
        """Whether anything is kept in `folder`. Raises EvidenceUnavailable."""
        ...

    def protect(self, folders: Collection[str], /) -> None:
        """
        Says which folders people still need, in place of those said before.

        They go last where room is needed, and by age never. Until it was said nothing is removed.
        """
        ...


class ContextKeeper(Protocol):
    """Keeps what the platform tells of a replica: last log lines, how it ended before, recent events."""

    async def keep(self, plan: ContextPlan) -> tuple[KeptFile, ...]:
        """The files that are kept; what could not be had is told in the file's place. Never raises."""
        ...


class Diagnostician(Protocol):
    """Says what the kept profiles show."""

    async def diagnose(
        self,
        kept: Sequence[KeptFile],
        baseline_folder: str,
        *,
        rss_bytes: int | None,
        limit_bytes: int | None,
    ) -> DiagnosisRecord | None:
        """What the newest capture shows against the baseline; None without a heap profile. Never raises."""
        ...


class Reporter(Protocol):
    """Writes the report of an incident that people read."""

    async def write(
        self, incident: Incident, workload: Workload | None, memory: BlockMatrix | None, now: datetime
    ) -> str:
        """
        Where the report is; empty where it could not be written. Never raises.

        `workload` is None where it is gone or not governed any more, `memory` while it cannot be read.
        """
        ...


class Records(Protocol):
    """Where incidents and policy status are written."""

    async def incidents(self) -> tuple[Incident, ...]:
        """All incidents that are kept."""
        ...

    async def create(self, incident: Incident) -> Incident:
        """Writes a new incident; where its name exists already, returns that one instead."""
        ...

    async def update(self, incident: Incident) -> Incident:
        """Writes what changed. Raises PlatformUnavailable; a conflict is read again and raised as such."""
        ...

    async def remove(self, incident: Incident) -> None:
        """Removes an incident past its retention."""
        ...

    async def policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        """Writes a policy's status where it differs from what stands there."""
        ...


class Announcer(Protocol):
    """Tells people in the place they already look."""

    async def announce(self, notices: Sequence[Notice], /) -> None:
        """Posts each notice once; failures are logged, never raised."""
        ...


class Messenger(Protocol):
    """Carries messages to people outside the platform. Nothing waits for it."""

    @property
    def routes(self) -> Sequence[Route]:
        """Who is told of what; empty where nobody is."""
        ...

    @property
    def maximum_age(self) -> timedelta:
        """What is older is no news any more."""
        ...

    def send(self, message: Message) -> bool:
        """Puts it on its way; False where there is no room, or one about the same is still on its way."""
        ...

    def ended(self) -> Sequence[Delivery]:
        """What has been delivered or given up since the last call."""
        ...


class Leadership(Protocol):
    """Whether this process may act."""

    async def confirm(self) -> bool:
        """A fresh look at the lease: True only while it is ours with time to spare."""
        ...


class Telemetry(Protocol):
    """Our own metrics; the catalogue is `controller.reporting.telemetry`."""

    def held(self, namespace: str, reason: str) -> None:
        """A hold has begun."""

    def remediated(self, namespace: str, mechanism: str) -> None:
        """A remediation was carried out."""

    def recovered(self, namespace: str, outcome: str) -> None:
        """A recovery is known."""

    def captured(self, kind: str, outcome: str) -> None:
        """A profile was asked for."""

    def notified(self, receiver: str, outcome: str) -> None:
        """A notification was delivered, put off or given up."""

    def failed(self, part: str) -> None:
        """Part of a sweep ended in an error."""

    def swept(self, census: Census, duration_seconds: float, now: datetime) -> None:
        """A sweep has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside, as one value."""

    memory_sources: Mapping[str, MemorySource]
    inventory: Inventory
    remediator: Remediator
    profiler: Profiler
    context: ContextKeeper
    diagnostician: Diagnostician
    reporter: Reporter
    records: Records
    announcer: Announcer
    messenger: Messenger
    leadership: Leadership
    telemetry: Telemetry
    clock: Callable[[], datetime]
    """Now, in UTC."""
    alert_sources: Mapping[str, AlertSource] = field(default_factory=dict)
    service_sources: Mapping[str, ServiceSource] = field(default_factory=dict)
