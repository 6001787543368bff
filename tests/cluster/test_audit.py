"""Reading the audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import WRITES, read_audit_log, service_account_user

CONTROLLER = service_account_user("bilgepump", "bilgepump")


def line(**changes: Any) -> str:
    event = {
        "stage": "ResponseComplete",
        "user": {"username": CONTROLLER},
        "verb": "patch",
        "objectRef": {
            "resource": "memoryincidents",
            "subresource": "status",
            "apiGroup": "bilgepump.dev",
            "namespace": "shop",
            "name": "api-1",
        },
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-01T10:00:00.000000Z",
        "requestObject": {"status": {"phase": "Resolved"}},
    }
    return json.dumps(event | changes) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_text(
        line()
        + line(verb="get", requestReceivedTimestamp="2026-01-01T11:00:00.000000Z")
        + line(user={"username": "admin"})
        + line(stage="ResponseStarted")
        + line(objectRef={}, requestObject=None)
    )
    return path


def test_an_event_says_who_did_what_to_what(log: Path) -> None:
    event = read_audit_log(log)[0]
    assert event.user == "system:serviceaccount:bilgepump:bilgepump"
    assert event.kind_of_write == "patch memoryincidents.bilgepump.dev/status"
    assert (event.namespace, event.name, event.status_code) == ("shop", "api-1", 200)
    assert event.request_body == {"status": {"phase": "Resolved"}}


def test_only_completed_requests_count(log: Path) -> None:
    assert len(read_audit_log(log)) == 4


def test_events_are_chosen_by_user_verb_and_time(log: Path) -> None:
    assert len(read_audit_log(log, user=CONTROLLER, verbs=WRITES)) == 2
    (late,) = read_audit_log(log, since=datetime(2026, 1, 1, 10, 30, tzinfo=UTC))
    assert late.verb == "get"


def test_a_line_that_is_still_being_written_is_left_for_later(log: Path) -> None:
    whole = read_audit_log(log)
    with log.open("a") as opened:
        opened.write(line()[:40])
    assert read_audit_log(log) == whole
