import hashlib
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controller.clients.context_keeper import EvidenceContextKeeper
from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.reporter import REPORT, REPORT_WITH_LOGS, EvidenceReporter
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.decision.situation import Captured
from controller.evidence.capture_plan import baseline_of
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import ReplicaContext, Termination, Told, plan_context
from controller.evidence.retention import EvidenceLimits
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from tests.clients.test_context_keeper import Source
from tests.evidence.profile_builder import MEBIBYTE, heap_profile
from tests.fakes import NOW, FakeTelemetry, a_judgement, a_workload
from tests.reporting.test_incident_document import an_incident

WORKLOAD = a_workload()


def a_heap(kept_mebibytes: int) -> bytes:
    return heap_profile().heap("main.keep", "main.main", inuse=kept_mebibytes * MEBIBYTE).gzipped()


@pytest.fixture
def store(tmp_path: Path) -> VolumeEvidenceStore:
    return VolumeEvidenceStore(tmp_path, EvidenceLimits())


@pytest.fixture
def captured(store: VolumeEvidenceStore) -> Incident:
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


def a_reporter(store: VolumeEvidenceStore) -> EvidenceReporter:
    return EvidenceReporter(store, EvidenceDiagnostician(store))


async def test_report_compares_with_the_baseline_and_names_the_retainer(
    store: VolumeEvidenceStore, captured: Incident
) -> None:
    uri = await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    page = (store.content(uri) or b"").decode()
    assert "180.0 MiB" in page
    assert "main.keep" in page
    command = "-diff_base baseline-api-7.x-app-heap.pb.gz late-api-1-app-heap.pb.gz"
    assert command in page


async def test_every_file_has_its_checksum(store: VolumeEvidenceStore, captured: Incident) -> None:
    uri = await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    folder = Path(urlsplit(uri).path).parent
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == sums[name] for name in sums)


async def test_baseline_stays_with_the_incident_when_the_replica_is_gone(
    store: VolumeEvidenceStore, captured: Incident
) -> None:
    await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    uri = await a_reporter(store).write(captured, None, None, NOW)

    assert "180.0 MiB" in (store.content(uri) or b"").decode()


async def test_profile_that_nobody_can_read_leaves_a_report_without_a_diagnosis(
    store: VolumeEvidenceStore, captured: Incident
) -> None:
    store.write(captured.folder, "late-api-1-app-heap.pb.gz", b"not a profile", NOW)

    uri = await a_reporter(store).write(captured, WORKLOAD, None, NOW)

    page = (store.content(uri) or b"").decode()
    assert "ProfilesKept" in page
    assert "Likely cause" not in page


async def test_log_lines_stand_on_a_page_of_their_own(store: VolumeEvidenceStore, captured: Incident) -> None:
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
