"""What the controller keeps of a replica, from its endpoint to the incident."""

import asyncio
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web

from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.pprof import PprofClient
from controller.clients.profiler import PprofProfiler
from controller.clients.reporter import EvidenceReporter
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.evidence.capture_plan import CapturePlan, baseline_of
from controller.evidence.endpoint import PprofEndpoint
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.retention import EvidenceLimits
from controller.reporting import incident_steps as steps
from controller.reporting import notices
from controller.reporting.incident import DiagnosisRecord
from tests.clients.test_pprof import serving
from tests.evidence.profile_builder import MEBIBYTE, goroutine_profile, heap_profile
from tests.evidence.test_other_runtimes import GO, jvm
from tests.fakes import NOW, FakeTelemetry, a_workload
from tests.leakapps.program import running
from tests.reporting.test_incident_document import an_incident

WORKLOAD = a_workload()
BASELINE = baseline_of(WORKLOAD, "api-1", "app")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
VISITORS = b'visits_total{visitor="ann@example.com"} 4\n'


def offering(pages: dict[str, bytes], status: int = 404) -> Handler:
    """A program that serves these paths and answers `status` elsewhere."""

    async def handler(request: web.Request) -> web.Response:
        body = pages.get(request.path)
        return web.Response(status=status) if body is None else web.Response(body=body)

    return handler


@dataclass(frozen=True)
class Controller:
    """The parts of the controller that capture, keep and diagnose."""

    store: VolumeEvidenceStore

    async def capture(
        self, endpoint: PprofEndpoint, folder: str, label: str, container: str = "app"
    ) -> tuple[KeptFile, ...]:
        plan = CapturePlan(
            folder=folder,
            label=label,
            replica="api-1",
            container=container,
            endpoint=endpoint,
            collect_first=True,
        )
        async with PprofClient(lambda: NOW) as client:
            return await PprofProfiler(client, self.store, FakeTelemetry(), lambda: NOW).capture(plan)

    async def diagnose(self, kept: tuple[KeptFile, ...]) -> DiagnosisRecord:
        found = await EvidenceDiagnostician(self.store).diagnose(
            kept, BASELINE, rss_bytes=None, limit_bytes=512 * MEBIBYTE
        )
        assert found is not None
        return found

    def content(self, file: KeptFile) -> bytes:
        return self.store.content(file.uri) or b""


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(VolumeEvidenceStore(tmp_path, EvidenceLimits()))


async def test_program_without_pprof_is_asked_for_its_metrics_and_for_no_other_profile(
    controller: Controller,
) -> None:
    pages = {"/actuator/prometheus": VISITORS + jvm(used=500, committed=550, rss=700)}
    async with serving(offering(pages)) as (endpoint, asked):
        heap, metrics = await controller.capture(endpoint, "shop/api-1", "early")

    assert heap.failure.startswith("NotOffered: ")
    assert (metrics.kind, metrics.uri.endswith("early-api-1-app-metrics.txt")) == (FileKind.METRICS, True)
    assert controller.content(metrics) == jvm(used=500, committed=550, rss=700)
    assert asked == ["/debug/pprof/heap?gc=1", "/metrics", "/actuator/prometheus"]


async def test_metrics_of_a_jvm_are_diagnosed_told_and_stand_on_the_page(controller: Controller) -> None:
    incident = an_incident()
    for folder, label, used in ((BASELINE, "baseline", 100), (incident.folder, "late", 500)):
        pages = {"/metrics": jvm(used=used, committed=550, rss=700)}
        async with serving(offering(pages)) as (endpoint, _):
            kept = await controller.capture(endpoint, folder, label)

    diagnosis = await controller.diagnose(kept)
    incident = steps.diagnosed(steps.captured(incident, kept, "late", NOW), diagnosis)
    event = notices.evidence_told(incident, WORKLOAD, kept, NOW)[0]
    uri = await EvidenceReporter(controller.store, EvidenceDiagnostician(controller.store)).write(
        incident, WORKLOAD, None, NOW
    )
    page = (controller.store.content(uri) or b"").decode()

    assert (diagnosis.runtime, diagnosis.growth_class, diagnosis.causes) == ("jvm", "heap", ())
    assert diagnosis.summary == "JVM: the heap grew by 400 MiB"
    assert any("jcmd PID GC.class_histogram" in each for each in diagnosis.meanwhile)
    assert any(each.startswith("-Xmx384m") for each in diagnosis.meanwhile)
    assert event.reason == "RuntimeMetricsKept"
    assert "JVM: the heap grew by 400 MiB; no heap profile (NotOffered: " in event.message
    assert "-Xmx384m" in page
    assert "<code>jcmd PID GC.class_histogram</code>" in page
    assert "grows: heap" in page
    assert "alloc_space" not in page
    assert "profiles left out: JVM has no pprof" in page
    command = (
        "bilgepump diagnose --metrics late-api-1-app-metrics.txt "
        "--metrics-baseline baseline-api-1-app-metrics.txt"
    )
    assert command in page


async def test_metrics_of_go_say_what_memstats_cannot(controller: Controller) -> None:
    unlimited = GO + b"go_gc_gomemlimit_bytes 9.223372036854775807e+18\n"
    pages = {
        "/debug/pprof/heap": heap_profile().heap("main.keep", inuse=30 * MEBIBYTE).gzipped(),
        "/debug/pprof/goroutine": goroutine_profile().gzipped(),
        "/debug/vars": b'{"memstats": {"HeapAlloc": 3e7, "HeapIdle": 9, "HeapReleased": 9, "Sys": 5e8}}',
        "/metrics": unlimited,
    }
    async with serving(offering(pages)) as (endpoint, _):
        kept = await controller.capture(endpoint, "shop/api-1", "early")

    assert [(one.kind.value, bool(one.sha256)) for one in kept] == [
        ("heap", True),
        ("goroutine", True),
        ("memory", True),
        ("metrics", True),
    ]
    diagnosis = await controller.diagnose(kept)
    assert diagnosis.meanwhile[0].startswith("GOMEMLIMIT=460MiB (none is set)")
    assert diagnosis.can_memory_be_freed_by_hand is False


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"<html>sign in</html>", "NotAProfile", id="web page"),
        pytest.param(b"go_info 1\n" * (1 << 17), "TooLarge", id="too much of a runtime"),
    ],
)
async def test_metrics_that_cannot_be_read_are_told_by_their_reason(
    controller: Controller, body: bytes, reason: str
) -> None:
    pages = {"/debug/pprof/heap": heap_profile().gzipped(), "/metrics": body}
    async with serving(offering(pages)) as (endpoint, _):
        kept = await controller.capture(endpoint, "shop/api-1", "early")
    assert [one.failure.partition(":")[0] for one in kept if one.kind is FileKind.METRICS] == [reason]


async def test_baseline_whose_heap_profile_failed_is_left_for_another_time(controller: Controller) -> None:
    """Were anything kept, the folder would hold a baseline, and nobody would try again."""
    async with serving(offering({"/metrics": GO}, status=500)) as (endpoint, _):
        kept = await controller.capture(endpoint, BASELINE, "baseline")
    assert [one.failure.partition(":")[0] for one in kept] == ["Refused"]
    assert controller.store.names(BASELINE) == ()


async def test_whatever_a_replica_answers_the_controller_stays_small_and_goes_on(
    controller: Controller,
) -> None:
    """As much as is taken of each file, and none of it a profile: 512 MiB are all the controller has."""
    junk = b"\x1f\x8b" + os.urandom((16 << 20) - 2)

    async def anything(_: web.Request) -> web.Response:
        return web.Response(body=junk)

    kept: tuple[KeptFile, ...] = ()
    tracemalloc.start()
    try:
        async with serving(anything) as (endpoint, _):
            await controller.capture(endpoint, BASELINE, "baseline")
            for label in ("early", "late"):
                kept += await controller.capture(endpoint, "shop/api-1", label)
        diagnosis = await controller.diagnose(kept)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert diagnosis.summary.startswith("no diagnosis (Rejected): Damaged: ")
    assert [one.kind.value for one in kept if one.uri] == ["heap", "goroutine", "goroutineleak"] * 2
    assert peak < 200 * MEBIBYTE


async def test_profile_larger_than_any_of_go_is_not_taken(controller: Controller) -> None:
    async with serving(offering({"/debug/pprof/heap": b"\x1f\x8b" + bytes(17 << 20)})) as (endpoint, _):
        heap, *_ = await controller.capture(endpoint, "shop/api-1", "early")
    assert heap.failure.startswith("TooLarge: ")


async def test_every_cause_that_fits_stands_in_the_incident(controller: Controller) -> None:
    def pages(mebibytes: int) -> dict[str, bytes]:
        profile = heap_profile().heap("main.keep", "main.main", inuse=mebibytes * MEBIBYTE)
        profile.heap(
            *("context.WithValue", "main.wrap", "net/http.serverHandler.ServeHTTP"),
            inuse=mebibytes * MEBIBYTE,
        )
        waiting = goroutine_profile().sample(
            ("runtime.gopark", "runtime.chansend", "main.send"), (1000 * mebibytes,)
        )
        return {"/debug/pprof/heap": profile.gzipped(), "/debug/pprof/goroutine": waiting.gzipped()}

    async with serving(offering(pages(2))) as (endpoint, _):
        await controller.capture(endpoint, BASELINE, "baseline")
    async with serving(offering(pages(40))) as (endpoint, _):
        kept = await controller.capture(endpoint, "shop/api-1", "early")

    diagnosis = await controller.diagnose(kept)
    assert [(one.id, one.function) for one in diagnosis.causes] == [
        ("context-chain-grows", "main.wrap"),
        ("goroutine-blocked-on-channel-send", "main.send"),
    ]
    assert "A context is wrapped again and again in main.wrap" in diagnosis.summary
    assert "also Goroutines blocked on a channel send in main.send" in diagnosis.summary


async def test_containers_of_one_replica_are_not_mixed(controller: Controller) -> None:
    def pages(function: str) -> dict[str, bytes]:
        return {"/debug/pprof/heap": heap_profile().heap(function, inuse=40 * MEBIBYTE).gzipped()}

    kept: tuple[KeptFile, ...] = ()
    for container in ("app", "cache"):
        async with serving(offering(pages(f"main.{container}"))) as (endpoint, _):
            kept += await controller.capture(endpoint, "shop/api-1", "early", container)
    incident = steps.captured(an_incident(), kept, "early", NOW)

    assert incident.status.assessment is not None
    for container in ("app", "cache"):
        assessment = replace(incident.status.assessment, container=container)
        mine = replace(incident, status=replace(incident.status, assessment=assessment))
        uri = await EvidenceReporter(controller.store, EvidenceDiagnostician(controller.store)).write(
            mine, WORKLOAD, None, NOW
        )
        page = (controller.store.content(uri) or b"").decode()
        assert (
            f"main.{container} holds" in page
            or f"what allocates most also holds it: main.{container}" in page
        )


@pytest.mark.go
async def test_real_go_program_is_captured_without_its_visitors(
    controller: Controller,
) -> None:
    with running("promlabels") as program:
        await asyncio.to_thread(program.work, 1000)
        await controller.capture(program.endpoint, BASELINE, "baseline")
        await asyncio.to_thread(program.work, 120_000)
        kept = await controller.capture(program.endpoint, "shop/api-1", "late")

    assert [one.kind.value for one in kept if one.uri] == ["heap", "goroutine", "memory", "metrics"]
    metrics = next(one for one in kept if one.kind is FileKind.METRICS)
    assert metrics.size_bytes < 64 << 10
    assert b"visitor" not in controller.content(metrics)
    diagnosis = await controller.diagnose(kept)
    assert (diagnosis.runtime, diagnosis.growth_class) == ("go", "heap")
    assert [(one.id, one.function) for one in diagnosis.causes] == [
        ("metric-label-cardinality", "main.countRequest")
    ]
    assert "MiB (none is set)" in diagnosis.meanwhile[0]
