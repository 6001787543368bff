import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.clients.context_keeper import EvidenceContextKeeper
from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.evidence_store import EvidenceStore
from controller.clients.reporter import CHECKSUMS, REPORT, REPORT_WITH_LOGS, EvidenceReporter
from controller.clients.s3_evidence import S3EvidenceStore, S3Location
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.decision.situation import Captured
from controller.evidence.capture_plan import baseline_of
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import ReplicaContext, Termination, Told, plan_context
from controller.evidence.retention import EvidenceLimits
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from tests.clients.test_context_keeper import Source
from tests.clients.test_evidence_store import a_bucket, store_client
from tests.ecs.cloud import moto_server
from tests.evidence.profile_builder import MEBIBYTE, heap_profile
from tests.fakes import NOW, FakeTelemetry, a_judgement, a_workload
from tests.reporting.test_incident_document import an_incident

WORKLOAD = a_workload()


def a_heap(kept_mebibytes: int) -> bytes:
    return heap_profile().heap("main.keep", "main.main", inuse=kept_mebibytes * MEBIBYTE).gzipped()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=["volume", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> EvidenceStore:
    if request.param == "volume":
        return VolumeEvidenceStore(tmp_path, EvidenceLimits())
    url = request.getfixturevalue("moto")
    return S3EvidenceStore(store_client(url), S3Location(bucket=a_bucket(url)), EvidenceLimits())


@pytest.fixture
def captured(store: EvidenceStore) -> Incident:
    """An incident with a late heap profile, and a baseline of its image in the store."""
    incident = an_incident()
    stored = store.write(incident.folder, "late-api-1-app-heap.pb.gz", a_heap(200), NOW)
    late = KeptFile(
        kind=FileKind.HEAP,
        label="late",
        replica="api-1",
        container="app",
        captured_at=NOW,
        uri=stored.uri,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
    )
    folder = baseline_of(WORKLOAD, "api-1", "app")
    store.write(folder, "baseline-api-7.x-app-heap.pb.gz", a_heap(20), NOW)
    return steps.captured(incident, (late,), Captured.LATE, NOW)


def a_reporter(store: EvidenceStore) -> EvidenceReporter:
    return EvidenceReporter(store, EvidenceDiagnostician(store))


async def test_report_compares_with_the_baseline_and_names_the_retainer(
    store: EvidenceStore, captured: Incident
) -> None:
    uri = await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    page = (store.content(uri) or b"").decode()
    assert "180.0 MiB" in page
    assert "main.keep" in page
    command = "-diff_base baseline-api-7.x-app-heap.pb.gz late-api-1-app-heap.pb.gz"
    assert command in page


async def test_every_file_has_its_checksum(store: EvidenceStore, captured: Incident) -> None:
    await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    folder = captured.folder
    lines = (store.read(folder, CHECKSUMS) or b"").decode().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    assert set(sums) == set(store.names(folder)) - {CHECKSUMS}
    for name, sha256 in sums.items():
        assert hashlib.sha256(store.read(folder, name) or b"").hexdigest() == sha256


async def test_baseline_stays_with_the_incident_when_the_replica_is_gone(
    store: EvidenceStore, captured: Incident
) -> None:
    await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    uri = await a_reporter(store).write(captured, None, None, NOW)

    assert "180.0 MiB" in (store.content(uri) or b"").decode()


async def test_profile_that_nobody_can_read_leaves_a_report_without_a_diagnosis(
    store: EvidenceStore, captured: Incident
) -> None:
    store.write(captured.folder, "late-api-1-app-heap.pb.gz", b"not a profile", NOW)

    uri = await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    page = (store.content(uri) or b"").decode()
    assert "ProfilesKept" in page
    assert "Likely cause" not in page


async def test_log_lines_stand_on_a_page_of_their_own(store: EvidenceStore, captured: Incident) -> None:
    told = Told(
        context=ReplicaContext(
            previous_termination=Termination(reason="OOMKilled", exit_code=137), restart_count=4
        ),
        log=b"\x1b[31mpassword=<script>alert(1)</script>\n",
    )
    plan = plan_context(WORKLOAD, a_judgement(WORKLOAD), captured.folder, "late")
    assert plan is not None
    keeper = EvidenceContextKeeper(Source(told), store, FakeTelemetry(), lambda: NOW)
    incident = steps.context_kept(captured, await keeper.keep(plan))

    await a_reporter(store).write(incident, WORKLOAD, None, NOW)

    page = (store.read(incident.folder, REPORT) or b"").decode()
    whole = (store.read(incident.folder, REPORT_WITH_LOGS) or b"").decode()
    assert "OOMKilled" in page
    assert "OOMKilled" in whole
    assert "password" not in page
    assert "late-api-1-app-log.txt" in page
    assert "password=&lt;script&gt;alert(1)" in whole
    assert whole.count("<script>") == 1


async def test_report_that_cannot_be_written_is_no_error(tmp_path: Path, captured: Incident) -> None:
    tiny = VolumeEvidenceStore(tmp_path, EvidenceLimits(maximum_bytes=10))

    assert await a_reporter(tiny).write(replace(captured, name="x"), None, None, NOW) == ""
