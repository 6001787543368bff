"""Where the adapters of ECS meet the flow, without Kubernetes."""

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from botocore.client import BaseClient

from controller.clients.aws import Account, AwsClients
from controller.clients.cloudwatch import Spending
from controller.clients.context_keeper import EvidenceContextKeeper
from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.evidence_store import EvidenceStore
from controller.clients.evidence_upkeep import keep_within_limits
from controller.clients.notifications.courier import Courier
from controller.clients.notifications.settings import NotificationSettings
from controller.clients.pprof import PprofClient
from controller.clients.profiler import PprofProfiler
from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.clients.reporter import EvidenceReporter
from controller.clients.s3_evidence import S3EvidenceStore, S3Location, s3_client
from controller.clients.telemetry import PrometheusTelemetry
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.decision.situation import Limits, Powers
from controller.ecs_parts import EcsParts
from controller.evidence.retention import EvidenceLimits
from controller.platforms.ecs.bucket import BucketState
from controller.platforms.ecs.events import EcsEvents
from controller.platforms.ecs.lease import BucketLease
from controller.platforms.ecs.lock import DirectoryLock
from controller.platforms.ecs.place import StateDirectory, StatePlace
from controller.platforms.ecs.records import StateRecords
from controller.platforms.ecs.state import DirectoryState, StateStore, UnreadableDocument
from controller.policy.book import PolicyBook
from controller.ports import MemorySource, PlatformUnavailable, World
from controller.reporting.census import Census
from controller.sweep.flow import Sweeper
from controller.sweep.interval import SHORTEST, until_next_sweep
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits

logger = logging.getLogger(__name__)

LONGEST_SETTLEMENT = timedelta(seconds=30)
"""How long `--once` waits for notifications to arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsSettings:
    """What the command line of `bilgepump ecs` says."""

    state: StatePlace
    state_region: str = ""
    interval: timedelta
    sample_interval_seconds: int = 60
    prometheus_url: str = ""
    event_bus: str = ""
    event_region: str = ""
    evidence_limits: EvidenceLimits = field(
        default_factory=lambda: EvidenceLimits(maximum_bytes=2**30, maximum_age=timedelta(days=30))
    )
    concurrent_remediations: int = 1
    allow_loopback: bool = False
    capture: bool = True
    notifications: NotificationSettings = field(default_factory=NotificationSettings)


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)  # noqa: TID251  (the one clock of `bilgepump ecs`)


def state_store(place: StatePlace, clients: AwsClients, region: str) -> StateStore:
    """Where documents are kept; `region` is the bucket's."""
    if isinstance(place, StateDirectory):
        return DirectoryState(place.path)
    return BucketState(clients.reader(Account(region=region), "s3"), place.bucket, place.prefix)


def evidence_at(place: StatePlace, region: str, limits: EvidenceLimits) -> EvidenceStore:
    """Where profiles and reports are kept: `evidence` below the place."""
    if isinstance(place, StateDirectory):
        return VolumeEvidenceStore(place.path / "evidence", limits)
    prefix = f"{place.prefix}/evidence/".lstrip("/")
    return S3EvidenceStore(s3_client(region), S3Location(bucket=place.bucket, prefix=prefix), limits)


def records_at(place: StatePlace, region: str) -> StateRecords:
    """
    The records in a place, for those who only read.

    Raises PlatformUnavailable where the place is a directory that is not there or cannot be read: to a reader
    it is a misspelt one, not one without incidents.
    """
    if isinstance(place, StateDirectory):
        try:
            os.scandir(place.path).close()
        except OSError as error:
            raise PlatformUnavailable(f"{place} cannot be read: {error.strerror}") from error
    return StateRecords(state_store(place, AwsClients(), region))


async def copy_incidents(place: StatePlace, region: str, to: StateDirectory) -> None:
    """Copies the incidents of a place into a directory. Raises PlatformUnavailable."""

    def copy() -> None:
        source, target = state_store(place, AwsClients(), region), DirectoryState(to.path)
        for key in source.keys("incidents"):
            with suppress(UnreadableDocument):
                if (kept := source.read(key)) is not None:
                    target.create(key, kept.document)

    await asyncio.to_thread(copy)


class EcsController:
    """Sweeps over ECS services while it holds the lock of its state."""

    def __init__(
        self,
        sweeper: Sweeper,
        book: PolicyBook,
        leadership: DirectoryLock | BucketLease,
        telemetry: PrometheusTelemetry,
        parts: EcsParts,
        courier: Courier,
    ) -> None:
        self._sweeper = sweeper
        self._book = book
        self._leadership = leadership
        self._telemetry = telemetry
        self._parts = parts
        self._courier = courier

    @property
    def spending(self) -> Spending | None:
        """What CloudWatch costs, once it was asked."""
        return self._parts.spending

    @property
    def calls(self) -> int:
        """How many calls of the ECS API were made so far."""
        return self._parts.calls

    async def sweep(self) -> Census:
        """One sweep. Raises PlatformUnavailable."""
        started_at, calls = clock(), self.calls
        census = await self._sweeper.sweep(self._book, started_at)
        ended_at = clock()
        self._telemetry.swept(census, (ended_at - started_at).total_seconds(), ended_at)
        logger.info("swept", extra={"services": len(census.decided), "ecs_calls": self.calls - calls})
        return census

    async def once(self) -> Census:
        """One sweep by the copy that leads. Raises PlatformUnavailable where another one does."""
        if not await self._leadership.claim():
            raise PlatformUnavailable(f"another copy holds {self._leadership}")
        keeping = asyncio.ensure_future(self._leadership.keep())
        try:
            census = await self.sweep()
            await self._courier.settle(LONGEST_SETTLEMENT)
            await self._sweeper.note_notifications()
            return census
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def run(self, interval: timedelta) -> None:
        """Sweeps until SIGTERM or SIGINT: at `interval`, or sooner where something is near danger."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await self._leadership.claim()
        keeping = asyncio.ensure_future(self._leadership.keep())
        try:
            while not stop.is_set():
                if keeping.done():
                    keeping.result()
                pause = await self._turn(interval)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause.total_seconds()):
                        await stop.wait()
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _turn(self, interval: timedelta) -> timedelta:
        """A sweep, where this copy leads; how long to wait for the next."""
        if not self._leadership.held:
            logger.info("another copy holds the lock", extra={"lock": str(self._leadership)})
            return min(interval, AGAIN)
        try:
            return until_next_sweep(await self.sweep(), clock(), interval)
        except PlatformUnavailable as error:
            logger.warning("sweep ended early", extra={"why": str(error)})
            self._telemetry.failed("platform")
        except Exception:
            # A bug in one sweep must not end the controller: the next one tries again.
            logger.exception("sweep failed")
            self._telemetry.failed("sweep")
        return interval


AGAIN = timedelta(seconds=10)
"""How often a copy that waits looks whether it leads by now."""


@asynccontextmanager
async def ecs_controller(settings: EcsSettings, book: PolicyBook) -> AsyncIterator[EcsController]:
    """Everything that `bilgepump ecs` needs."""
    async with AsyncExitStack() as stack:
        telemetry = PrometheusTelemetry()
        pprof = await stack.enter_async_context(PprofClient(clock))
        clients = AwsClients()
        leadership = _leadership(settings, clients)
        parts = EcsParts(
            lambda: book.accepted,
            confirm=leadership.confirm,
            clock=clock,
            told=telemetry.spent,
            may_be_loopback=settings.allow_loopback,
            clients=clients,
        )
        stack.push_async_callback(leadership.release)
        courier = await stack.enter_async_context(Courier(settings.notifications, telemetry, clock))
        store = evidence_at(settings.state, settings.state_region, settings.evidence_limits)
        upkeep = asyncio.create_task(
            keep_within_limits(store, lambda: leadership.held, clock, telemetry.evidence_kept)
        )
        stack.callback(upkeep.cancel)
        world = _world(settings, parts, leadership, telemetry, pprof, store, courier)
        limits = SweepLimits(
            powers=Powers(capture=settings.capture),
            limits=Limits(concurrent=settings.concurrent_remediations),
        )
        sweeper = Sweeper(world, lambda: limits, Retention())
        yield EcsController(sweeper, book, leadership, telemetry, parts, courier)


def _leadership(settings: EcsSettings, clients: AwsClients) -> DirectoryLock | BucketLease:
    place = settings.state
    if isinstance(place, StateDirectory):
        return DirectoryLock(place.path)
    client = clients.reader(Account(region=settings.state_region), "s3")
    return BucketLease(client, place.bucket, place.prefix, identity=_identity())


def _identity() -> str:
    """This process and no other."""
    return f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _world(
    settings: EcsSettings,
    parts: EcsParts,
    leadership: DirectoryLock | BucketLease,
    telemetry: PrometheusTelemetry,
    pprof: PprofClient,
    store: EvidenceStore,
    courier: Courier,
) -> World:
    bus = settings.event_bus
    events: BaseClient | None = (
        parts.clients.reader(Account(region=settings.event_region), "events") if bus else None
    )
    diagnostician = EvidenceDiagnostician(store)
    source = _memory(settings, parts)
    return World(
        memory_sources={"default": source},
        service_sources={"default": source} if isinstance(source, PrometheusMemorySource) else {},
        inventory=parts.inventory,
        remediator=parts.restarts,
        profiler=PprofProfiler(pprof, store, telemetry, clock),
        context=EvidenceContextKeeper(parts.context, store, telemetry, clock),
        diagnostician=diagnostician,
        reporter=EvidenceReporter(store, diagnostician),
        records=StateRecords(state_store(settings.state, parts.clients, settings.state_region)),
        announcer=EcsEvents(events, bus=bus),
        messenger=courier,
        leadership=leadership,
        telemetry=telemetry,
        clock=clock,
    )


def _memory(settings: EcsSettings, parts: EcsParts) -> MemorySource:
    if settings.prometheus_url:
        return PrometheusMemorySource(
            PrometheusSettings(
                name="default",
                url=settings.prometheus_url,
                sample_interval_seconds=float(settings.sample_interval_seconds),
            )
        )
    return parts.cloudwatch(
        sample_interval_seconds=settings.sample_interval_seconds,
        sweep_interval=min(settings.interval, SHORTEST),
    )
