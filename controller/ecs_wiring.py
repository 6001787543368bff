"""Where the adapters of ECS meet the flow, without Kubernetes."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from botocore.client import BaseClient

from controller.clients.aws import Account, AwsClients
from controller.clients.cloudwatch import CloudWatchMemorySource
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
from controller.clients.telemetry import PrometheusTelemetry
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.decision.situation import Limits, Powers
from controller.evidence.retention import EvidenceLimits
from controller.inventory.workload import Workload, WorkloadRef
from controller.platforms.ecs.api import EcsApi
from controller.platforms.ecs.context import EcsContext
from controller.platforms.ecs.events import EcsEvents
from controller.platforms.ecs.inventory import EcsInventory
from controller.platforms.ecs.lock import DirectoryLock
from controller.platforms.ecs.pace import Pace
from controller.platforms.ecs.records import DirectoryRecords
from controller.platforms.ecs.registry import EcrTags
from controller.platforms.ecs.restarts import EcsRestarts
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import EcsTarget
from controller.ports import MemorySource, PlatformUnavailable, World
from controller.reporting.census import Census
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits

logger = logging.getLogger(__name__)

LONGEST_SETTLEMENT = timedelta(seconds=30)
"""How long `--once` waits for notifications to arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsSettings:
    """What the command line of `bilgepump ecs` says."""

    state: Path
    interval: timedelta
    sample_interval_seconds: int = 60
    prometheus_url: str = ""
    event_bus: str = ""
    event_region: str = ""
    evidence_maximum_bytes: int = 2**30
    evidence_maximum_age: timedelta = timedelta(days=30)
    concurrent_remediations: int = 1
    allow_loopback: bool = False
    capture: bool = True
    notifications: NotificationSettings = field(default_factory=NotificationSettings)


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)  # noqa: TID251  (the one clock of `bilgepump ecs`)


class EcsController:
    """Sweeps over ECS services while it holds the lock of its state directory."""

    def __init__(
        self,
        sweeper: Sweeper,
        book: PolicyBook,
        lock: DirectoryLock,
        telemetry: PrometheusTelemetry,
        courier: Courier,
    ):
        self._sweeper = sweeper
        self._book = book
        self._lock = lock
        self._telemetry = telemetry
        self._courier = courier

    @property
    def leads(self) -> bool:
        """Whether the lock is ours; takes it where it is free."""
        return self._lock.acquire()

    async def sweep(self) -> Census:
        """One sweep. Raises PlatformUnavailable."""
        started_at = clock()
        census = await self._sweeper.sweep(self._book, started_at)
        ended_at = clock()
        self._telemetry.swept(census, (ended_at - started_at).total_seconds(), ended_at)
        return census

    async def settle(self) -> None:
        """Waits a while for notifications and notes what was told. Raises PlatformUnavailable."""
        await self._courier.settle(LONGEST_SETTLEMENT)
        await self._sweeper.note_notifications()

    async def run(self, interval: timedelta) -> None:
        """Sweeps at an interval until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        while not stop.is_set():
            if self.leads:
                await self._sweep_or_log()
            else:
                logger.info("another copy holds the lock")
            try:
                async with asyncio.timeout(interval.total_seconds()):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _sweep_or_log(self) -> None:
        try:
            await self.sweep()
        except PlatformUnavailable as error:
            logger.warning("sweep ended early", extra={"why": str(error)})
            self._telemetry.failed("platform")
        except Exception:
            # A bug in one sweep must not end the controller: the next one tries again.
            logger.exception("sweep failed")
            self._telemetry.failed("sweep")


@asynccontextmanager
async def ecs_controller(settings: EcsSettings, book: PolicyBook) -> AsyncIterator[EcsController]:
    """Everything that `bilgepump ecs` needs."""
    async with AsyncExitStack() as stack:
        telemetry = PrometheusTelemetry()
        pprof = await stack.enter_async_context(PprofClient(clock))
        lock = DirectoryLock(settings.state)
        stack.callback(lock.release)
        courier = await stack.enter_async_context(Courier(settings.notifications, telemetry, clock))
        store = _store(settings)
        upkeep = asyncio.create_task(keep_within_limits(store, lock.acquire, clock, telemetry.evidence_kept))
        stack.callback(upkeep.cancel)
        world = _world(settings, book, lock, telemetry, pprof, store, courier)
        limits = SweepLimits(
            powers=Powers(capture=settings.capture),
            limits=Limits(concurrent=settings.concurrent_remediations),
        )
        yield EcsController(Sweeper(world, lambda: limits, Retention()), book, lock, telemetry, courier)


def _world(
    settings: EcsSettings,
    book: PolicyBook,
    lock: DirectoryLock,
    telemetry: PrometheusTelemetry,
    pprof: PprofClient,
    store: EvidenceStore,
    courier: Courier,
) -> World:
    clients = AwsClients()
    api = _apis(clients)
    inventory = EcsInventory(
        api,
        lambda: book.accepted,
        lambda target: EcrTags(
            lambda region: clients.reader(replace(account_of(target), region=region), "ecr")
        ),
        may_be_loopback=settings.allow_loopback,
    )
    bus = settings.event_bus
    events = clients.reader(Account(region=settings.event_region), "events") if bus else None
    diagnostician = EvidenceDiagnostician(store)

    def api_of(ref: WorkloadRef) -> EcsApi | None:
        region, cluster, _ = ref.name.split("/")
        target = inventory.target(region, cluster)
        return api(target) if target else None

    return World(
        memory_sources={"default": _memory(settings, clients, inventory)},
        inventory=inventory,
        remediator=EcsRestarts(inventory, api),
        profiler=PprofProfiler(pprof, store, telemetry, clock),
        context=EvidenceContextKeeper(EcsContext(api_of), store, telemetry, clock),
        diagnostician=diagnostician,
        reporter=EvidenceReporter(store, diagnostician),
        records=DirectoryRecords(settings.state),
        announcer=EcsEvents(events, bus=bus),
        messenger=courier,
        leadership=lock,
        telemetry=telemetry,
    )


def _store(settings: EcsSettings) -> EvidenceStore:
    limits = EvidenceLimits(
        maximum_bytes=settings.evidence_maximum_bytes, maximum_age=settings.evidence_maximum_age
    )
    return VolumeEvidenceStore(settings.state / "evidence", limits)


def account_of(target: EcsTarget) -> Account:
    """Where a target is, and as whom it is looked at."""
    return Account(region=target.region, role_arn=target.assume_role_arn, external_id=target.external_id)


def _apis(clients: AwsClients) -> Callable[[EcsTarget], EcsApi]:
    """One API per account and region, so that all its calls share one bucket."""
    apis: dict[Account, EcsApi] = {}

    def api(target: EcsTarget) -> EcsApi:
        account = account_of(target)
        if account not in apis:
            reader, writer = clients.reader(account, "ecs"), clients.writer(account, "ecs")
            apis[account] = EcsApi(reader, writer, clock=clock, pace=Pace())
        return apis[account]

    return api


def _memory(settings: EcsSettings, clients: AwsClients, inventory: EcsInventory) -> MemorySource:
    if settings.prometheus_url:
        return PrometheusMemorySource(
            PrometheusSettings(
                name="default",
                url=settings.prometheus_url,
                sample_interval_seconds=float(settings.sample_interval_seconds),
            )
        )

    def client(workload: Workload) -> BaseClient:
        region, cluster, _ = workload.ref.name.split("/")
        target = inventory.target(region, cluster)
        account = account_of(target) if target else Account(region=region)
        return clients.reader(account, "cloudwatch")

    return CloudWatchMemorySource(
        client, lambda: inventory.seen, sample_interval_seconds=settings.sample_interval_seconds
    )
