"""Processes that are found again, ended for sure, and never mistaken for others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cluster import processes
from tests.cluster.waiting import WaitTimeout, wait_until


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "process.json"


def started(record: Path, script: str) -> processes.ProcessRecord:
    log = record.with_name("process.log")
    return processes.start(["sh", "-c", script], record=record, log=log, survive=False)


def test_a_process_is_found_by_its_record_and_stopped(record: Path) -> None:
    process = started(record, "sleep 600")
    assert processes.recorded(record) == process
    processes.stop(record)
    assert not process.is_alive()
    assert processes.recorded(record) is None


def test_a_process_that_ignores_sigterm_is_killed(record: Path) -> None:
    process = started(record, "trap '' TERM; echo ready; while :; do sleep 600; done")
    log = record.with_name("process.log")
    wait_until("the trap is set", lambda: "ready" in log.read_text(), timeout_seconds=10)
    processes.stop(record, grace_seconds=0.1)
    assert not process.is_alive()


def test_children_end_with_the_process(record: Path) -> None:
    started(record, "sleep 600 & echo $!; wait")
    log = record.with_name("process.log")
    child = int(wait_until("the child runs", lambda: log.read_text().strip(), timeout_seconds=10))
    processes.stop(record)
    assert processes.start_ticks(child) is None


def test_another_process_with_the_same_id_is_left_alone(record: Path) -> None:
    record.write_text(json.dumps({"pid": os.getpid(), "start_ticks": 1}))
    assert processes.recorded(record) is None
    processes.stop(record)


def test_output_goes_to_the_log(record: Path) -> None:
    process = started(record, "echo out; echo err >&2")
    wait_until("it has ended", lambda: not process.is_alive(), timeout_seconds=10)
    assert record.with_name("process.log").read_text() == "out\nerr\n"


def test_waiting_names_what_did_not_come_true() -> None:
    with pytest.raises(WaitTimeout, match=r"after 0 s still not: the moon is full \(last answer: False\)"):
        wait_until("the moon is full", lambda: False, timeout_seconds=0)
