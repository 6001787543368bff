"""Incidents in a directory: whole files, one winner per name, nothing written when nothing changed."""

import asyncio
import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from controller.platforms.ecs.lock import DirectoryLock
from controller.platforms.ecs.records import StateRecords
from controller.platforms.ecs.state import DirectoryState
from controller.ports import PlatformUnavailable
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from controller.reporting.policy_status import PolicyFacts
from tests.ecs.conftest import REF
from tests.fakes import NOW, a_judgement, a_policy, a_workload


def an_incident() -> Incident:
    workload = a_workload(ref=REF)
    return steps.open_incident(a_policy(), workload, a_judgement(workload), None, NOW)


async def test_incident_comes_back_as_it_was_written(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))

    created = await records.create(an_incident())

    assert await records.incidents() == (created,)
    assert created.spec == an_incident().spec
    assert (tmp_path / "incidents" / "shop" / f"{created.name}.json").is_file()


async def test_second_writer_of_a_name_gets_the_first_one(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    first = await records.create(an_incident())
    changed = replace(an_incident(), status=replace(an_incident().status, message="another"))

    assert await records.create(changed) == first


async def test_what_a_person_wrote_on_the_incident_stays(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    made = await records.create(an_incident())
    file = tmp_path / "incidents" / "shop" / f"{made.name}.json"
    document = json.loads(file.read_text())
    document["metadata"]["annotations"] = {"bilgepump.dev/acknowledged": made.name}
    file.write_text(json.dumps(document))
    (read,) = await records.incidents()

    updated = await records.update(steps.growth_ended(read, "over", NOW))

    assert (read.acknowledged_because, updated.acknowledged_because) == ("", "")


async def test_writer_with_an_old_version_is_refused(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    first = await records.create(an_incident())
    await records.update(steps.growth_ended(first, "over", NOW))

    with pytest.raises(PlatformUnavailable, match="changed by somebody else"):
        await records.update(steps.outcome_unknown(first, "?", NOW))


async def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    first = await records.create(an_incident())

    assert (await records.update(first)).resource_version == first.resource_version


async def test_file_that_is_no_incident_is_left_alone(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    kept = await records.create(an_incident())
    other = tmp_path / "incidents" / "shop" / "notes.json"
    other.write_text("{}")
    (other.parent / "half.json").write_text('{"spec":')

    assert await records.incidents() == (kept,)
    assert other.exists()


async def test_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "incidents").write_text("not a directory")

    with pytest.raises(PlatformUnavailable, match="cannot be written"):
        await StateRecords(DirectoryState(tmp_path)).create(an_incident())


async def test_directory_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    (tmp_path / "incidents").write_text("no directory")
    with pytest.raises(PlatformUnavailable, match="incidents cannot be listed: Not a directory"):
        await StateRecords(DirectoryState(tmp_path)).incidents()


async def test_policy_status_is_written_when_it_differs(tmp_path: Path) -> None:
    records = StateRecords(DirectoryState(tmp_path))
    path = tmp_path / "policies" / "shop" / "api.json"
    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=1), NOW)
    first = path.stat().st_ino

    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=1), NOW)
    assert path.stat().st_ino == first
    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=2), NOW)
    assert path.stat().st_ino != first


def test_second_copy_does_not_lead(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    assert asyncio.run(lock.claim())
    program = f"""
        import asyncio, pathlib
        from controller.platforms.ecs.lock import DirectoryLock
        lock = DirectoryLock(pathlib.Path({str(tmp_path)!r}))
        print(asyncio.run(lock.claim()), asyncio.run(lock.confirm()))
    """

    second = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )

    assert second.stdout.split() == ["False", "False"]
    assert asyncio.run(lock.confirm())


def test_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    program = f"""
        import asyncio, os, pathlib
        from controller.platforms.ecs.lock import DirectoryLock
        assert asyncio.run(DirectoryLock(pathlib.Path({str(tmp_path)!r})).claim())
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)])

    assert asyncio.run(DirectoryLock(tmp_path).claim())


async def test_removed_lock_file_is_no_longer_ours(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    await lock.claim()
    (tmp_path / "lock").unlink()

    assert not await lock.confirm()
