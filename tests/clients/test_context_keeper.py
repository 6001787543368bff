from pathlib import Path

import pytest

from controller.clients.context_keeper import EvidenceContextKeeper
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.evidence.kept import FileKind
from controller.evidence.replica_context import (
    ContextPlan,
    ReplicaContext,
    Termination,
    Told,
    from_json,
    plan_context,
)
from controller.evidence.retention import EvidenceLimits
from controller.ports import PlatformUnavailable
from tests.fakes import NOW, FakeTelemetry, a_judgement, a_workload

CONTEXT = ReplicaContext(previous_termination=Termination(reason="OOMKilled", exit_code=137), restart_count=1)


class Source:
    def __init__(self, told: Told | None) -> None:
        self._told = told

    async def read(self, plan: ContextPlan) -> Told:
        if self._told is None:
            raise PlatformUnavailable("the API server went away")
        return self._told


def a_keeper(folder: Path, told: Told | None, **limits: int) -> EvidenceContextKeeper:
    store = VolumeEvidenceStore(folder, EvidenceLimits(**limits))
    return EvidenceContextKeeper(Source(told), store, FakeTelemetry(), lambda: NOW)


@pytest.fixture
def plan() -> ContextPlan:
    chosen = plan_context(a_workload(), a_judgement(), "shop/api-x", "late")
    assert chosen is not None
    return chosen


async def test_context_and_logs_are_kept_beside_the_profiles(tmp_path: Path, plan: ContextPlan) -> None:
    told = Told(context=CONTEXT, log=b"last\n", previous_log=b"before\n")

    files = await a_keeper(tmp_path, told).keep(plan)

    folder = tmp_path / "shop" / "api-x"
    assert [file.kind for file in files] == [FileKind.CONTEXT, FileKind.LOG, FileKind.PREVIOUS_LOG]
    assert all(file.uri and file.sha256 and file.captured_at == NOW for file in files)
    assert (folder / "late-api-1-app-log.txt").read_bytes() == b"last\n"
    assert (folder / "late-api-1-app-previouslog.txt").read_bytes() == b"before\n"
    assert from_json((folder / "late-api-1-app-context.json").read_bytes()) == CONTEXT


async def test_without_logs_there_is_no_file_of_them(tmp_path: Path, plan: ContextPlan) -> None:
    files = await a_keeper(tmp_path, Told(context=CONTEXT)).keep(plan)

    assert [file.kind for file in files] == [FileKind.CONTEXT]


async def test_platform_that_does_not_answer_is_told_in_the_files_place(
    tmp_path: Path, plan: ContextPlan
) -> None:
    (file,) = await a_keeper(tmp_path, None).keep(plan)

    assert (file.kind, file.uri) == (FileKind.CONTEXT, "")
    assert file.failure == "Unavailable: the API server went away"


async def test_store_that_refuses_is_told_in_the_files_place(tmp_path: Path, plan: ContextPlan) -> None:
    (file,) = await a_keeper(tmp_path, Told(context=CONTEXT), maximum_bytes=1).keep(plan)

    assert file.failure.startswith("NotStored: ")
