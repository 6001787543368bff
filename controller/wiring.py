"""The only place where adapters meet the flow, and the only real clock."""

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controller.clients.context_keeper import EvidenceContextKeeper
from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.evidence_store import EvidenceStore
from controller.clients.evidence_upkeep import keep_within_limits
from controller.clients.notifications.courier import Courier
from controller.clients.pprof import PprofClient
from controller.clients.profiler import PprofProfiler
from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.reporter import EvidenceReporter
from controller.clients.s3_evidence import S3EvidenceStore, s3_client
from controller.clients.telemetry import PrometheusTelemetry
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.decision.situation import Powers
from controller.ecs_parts import EcsParts
from controller.inventory.workload import Platform, WorkloadRef
from controller.operator.endpoints import own_routes, serve
from controller.operator.incident_files import IncidentFiles
from controller.operator.policies import WatchedPolicies
from controller.operator.schedule import Schedule
from controller.platforms.both import ContextOfBoth, EventsOnPolicies, InventoryOfBoth, RemediatorOfBoth
from controller.platforms.kubernetes.api import KubernetesApi, connect
from controller.platforms.kubernetes.context import KubernetesContext
from controller.platforms.kubernetes.events import KubernetesEvents
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.lease import Lease
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.platforms.kubernetes.remediator import KubernetesRemediator
from controller.platforms.kubernetes.reviewer import KubernetesReviewer
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.syntax import CLOUDWATCH
from controller.ports import World
from controller.settings import ConfigurationError, Settings, read_settings
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits

logger = logging.getLogger(__name__)


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)  # noqa: TID251  (this is the one clock)


async def run(settings: Settings, settings_file: Path) -> None:
    """Runs the controller until SIGTERM or SIGINT, or until one of its parts dies."""
    async with AsyncExitStack() as stack:
        telemetry = PrometheusTelemetry()
        telemetry.sweeps_every(settings.sweep_interval)
        telemetry.evidence_limited(settings.evidence.maximum_bytes)
        pprof = await stack.enter_async_context(PprofClient(clock))
        api = connect()
        lease = _lease(api, settings)
        store = _store(settings)
        courier = await stack.enter_async_context(Courier(settings.notifications, telemetry, clock))
        policies = WatchedPolicies(
            api,
            namespaces=settings.watch_namespaces,
            allow_short_lookback=settings.allow_short_lookback,
            ecs_access=settings.ecs.access,
            with_rollouts=settings.rollouts.enabled,
        )
        world = _world(settings, api, lease, telemetry, pprof, store, courier)
        if settings.ecs.roles:
            world = _with_ecs(world, settings, api, policies, telemetry, store)
        schedule = Schedule(
            sweeper=Sweeper(
                world, _limits(settings, settings_file), Retention(keep_per_workload=settings.incidents.keep)
            ),
            policies=policies,
            lease=lease,
            telemetry=telemetry,
            interval=settings.sweep_interval,
            clock=clock,
        )

        def exposition() -> bytes:
            telemetry.leads(lease.held)
            return telemetry.exposition()

        own = own_routes(alive=lambda: schedule.alive, ready=lambda: schedule.ready, exposition=exposition)
        http = settings.http
        server = await serve(own, address=http.address, port=http.port)
        stack.push_async_callback(server.cleanup)
        if http.report_port is not None:
            # With a connection of its own, so that readers never keep a sweep waiting.
            files = IncidentFiles(store, KubernetesReviewer(connect(), clock))
            readers = await serve(files.routes(), address=http.address, port=http.report_port)
            stack.push_async_callback(readers.cleanup)
        stack.push_async_callback(lease.release)
        logger.info("controller started", extra={"settings": settings.model_dump(mode="json", by_alias=True)})
        upkeep = keep_within_limits(store, lambda: lease.held, clock, telemetry.evidence_kept)
        await _until_stopped(policies.watch(), lease.keep(), schedule.run(), upkeep)


async def _until_stopped(*parts: Any) -> None:
    """Runs the parts together; the end of any of them, or a signal, ends all."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(part) for part in (*parts, stop.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def _store(settings: Settings) -> EvidenceStore:
    evidence = settings.evidence
    if evidence.s3 is None:
        return VolumeEvidenceStore(evidence.directory, evidence.limits)
    client = s3_client(evidence.s3.region, evidence.s3.endpoint_url)
    return S3EvidenceStore(client, evidence.s3.location, evidence.limits)


def _world(
    settings: Settings,
    api: KubernetesApi,
    lease: Lease,
    telemetry: PrometheusTelemetry,
    pprof: PprofClient,
    store: EvidenceStore,
    courier: Courier,
) -> World:
    diagnostician = EvidenceDiagnostician(store)
    sources = {source.name: PrometheusMemorySource(source.prometheus) for source in settings.metrics_sources}
    inventory = KubernetesInventory(
        api,
        ourselves=_ourselves(),
        metrics_namespaces=settings.metrics_namespaces,
        everywhere=not settings.watch_namespaces,
        with_rollouts=settings.rollouts.enabled,
    )
    return World(
        memory_sources=sources,
        alert_sources=sources,
        service_sources=sources,
        inventory=inventory,
        remediator=KubernetesRemediator(api, inventory, lease.confirm, namespaces=settings.watch_namespaces),
        profiler=PprofProfiler(pprof, store, telemetry, clock),
        context=EvidenceContextKeeper(
            KubernetesContext(api, settings.evidence.logs.limits), store, telemetry, clock
        ),
        diagnostician=diagnostician,
        reporter=EvidenceReporter(store, diagnostician),
        records=KubernetesRecords(api, namespaces=settings.watch_namespaces),
        announcer=KubernetesEvents(api, instance=_identity()),
        messenger=courier,
        leadership=lease,
        telemetry=telemetry,
        clock=clock,
    )


def _with_ecs(
    world: World,
    settings: Settings,
    api: KubernetesApi,
    policies: WatchedPolicies,
    telemetry: PrometheusTelemetry,
    store: EvidenceStore,
) -> World:
    """The same world with ECS services in it."""

    def accepted() -> Sequence[MemoryPolicy]:
        return policies.accepted

    parts = EcsParts(
        accepted,
        confirm=world.leadership.confirm,
        clock=clock,
        told=telemetry.spent,
        may_not_act=settings.ecs.access.may_not_act,
        may_be_loopback=settings.ecs.allow_loopback,
    )
    cloudwatch = parts.cloudwatch(
        sample_interval_seconds=int(settings.ecs.cloudwatch.sample_interval.total_seconds()),
        sweep_interval=settings.sweep_interval,
    )
    return replace(
        world,
        memory_sources={**world.memory_sources, CLOUDWATCH: cloudwatch},
        inventory=InventoryOfBoth(world.inventory, parts.inventory, accepted),
        remediator=RemediatorOfBoth(world.remediator, parts.restarts),
        context=EvidenceContextKeeper(
            ContextOfBoth(KubernetesContext(api, settings.evidence.logs.limits), parts.context),
            store,
            telemetry,
            clock,
        ),
        announcer=EventsOnPolicies(world.announcer, parts.inventory, accepted),
    )


def _limits(settings: Settings, settings_file: Path) -> Callable[[], SweepLimits]:
    """The limits of `settings`, with the kill switch as the file has it now."""

    def limits() -> SweepLimits:
        return SweepLimits(
            powers=Powers(
                capture=settings.powers.capture,
                remediate=settings.powers.remediate,
                suspended_because=_suspended_because(settings_file),
            ),
            limits=settings.limits.over_all_policies,
            blocking_alerts=settings.blocking_alerts.rule,
        )

    return limits


def _suspended_because(settings_file: Path) -> str:
    """Why everything is suspended, as the settings file says now; a file that cannot be read suspends."""
    try:
        return "`suspend: true` in its settings" if read_settings(settings_file).suspend else ""
    except ConfigurationError as error:
        return f"its settings cannot be read any more: {error}"


def _lease(api: KubernetesApi, settings: Settings) -> Lease:
    return Lease(
        api,
        namespace=os.environ.get("POD_NAMESPACE", "default"),
        name=settings.lease.name,
        identity=_identity(),
        duration=timedelta(seconds=settings.lease.duration_seconds),
        clock=clock,
    )


_RUN = uuid.uuid4().hex[:8]


def _identity() -> str:
    """This process and no other: a container that restarts in the same pod is another holder."""
    return f"{os.environ.get('POD_NAME', os.uname().nodename)}-{_RUN}"


def _ourselves() -> WorkloadRef | None:
    """The controller's own Deployment, as the chart tells it."""
    namespace, name = os.environ.get("POD_NAMESPACE"), os.environ.get("DEPLOYMENT_NAME")
    if not namespace or not name:
        return None
    return WorkloadRef(Platform.KUBERNETES, namespace, "Deployment", name)
