from datetime import UTC, datetime

import pytest

from controller.evidence.replica_context import (
    LogLimits,
    RecentEvent,
    ReplicaContext,
    Termination,
    from_json,
    last_lines,
    plan_context,
    readable,
    to_json,
)
from tests.fakes import a_judgement, a_workload

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_context_comes_back_as_it_was_kept() -> None:
    context = ReplicaContext(
        previous_termination=Termination(reason="OOMKilled", exit_code=137, finished_at=NOW),
        restart_count=3,
        events=(RecentEvent(at=NOW, reason="Killing", about="Pod/api-1", message="x", warning=True),),
        missing=("log: forbidden",),
    )

    assert from_json(to_json(context)) == context


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"restart_count": "many"}', b"\xff"])
def test_context_that_somebody_changed_is_none(content: bytes) -> None:
    assert from_json(content) is None


@pytest.mark.parametrize(
    ("log", "kept"),
    [
        (b"", b""),
        (b"a\nb\nc\n", b"b\nc\n"),
        (b"a\nb", b"a\nb"),
        (b"123456789\n1234\n", b"1234\n"),
        (b"0123456789abcdef", b"6789abcdef"),
        (b"0123456789abcdef\n", b"789abcdef\n"),
    ],
)
def test_end_of_a_log_is_bounded_in_lines_and_bytes(log: bytes, kept: bytes) -> None:
    assert last_lines(log, LogLimits(lines=2, maximum_bytes=10)) == kept


def test_no_lines_are_no_log() -> None:
    assert last_lines(b"a\n", LogLimits(lines=0)) == b""


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (b"\x1b[31mred\x1b[0m\r\nnext", "red\nnext"),
        (b"\x1b]0;title\x07x", "x"),
        ("up\u202edown\x00\x85".encode(), "up\ufffddown\ufffd\ufffd"),
        (b"not utf-8: \xff", "not utf-8: \ufffd"),
        ("tab\tumlaut ä €\n".encode(), "tab\tumlaut ä €\n"),
    ],
)
def test_log_on_a_page_is_plain_text(log: bytes, text: str) -> None:
    assert readable(log) == text


def test_worst_replica_is_asked_about() -> None:
    plan = plan_context(a_workload(), a_judgement(), "shop/api-x", "late")

    assert plan is not None
    assert (plan.replica, plan.replica_uid, plan.container) == ("api-1", "uid-api-1", "app")
    assert (plan.workload_uid, plan.folder, plan.label) == ("workload-uid", "shop/api-x", "late")


def test_replica_that_is_gone_cannot_be_asked_about() -> None:
    assert plan_context(a_workload(replicas=()), a_judgement(), "shop/api-x", "late") is None
