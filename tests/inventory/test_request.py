from datetime import UTC, datetime, timedelta

import pytest

from controller.inventory.request import VALID_FOR, Request, RequestKind, parse_request

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("who", ["jane", "jane@example.com", "system:serviceaccount:ops:bot", "Jane Doe"])
def test_request_reads_back_as_it_was_written(who: str) -> None:
    request = Request(kind=RequestKind.RESTART, at=AT, who=who, why="it is slow: very")
    assert parse_request(RequestKind.RESTART, request.text) == request


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "jane: why",
        "2026-03-02T12:00:00Z jane",
        "2026-13-02T12:00:00Z jane: why",
        "2026-03-02T12:00:00+01:00 jane: why",
        "2026-03-02T12:00:00Z jane: two\nlines",
    ],
)
def test_anything_else_is_no_request(text: str) -> None:
    assert parse_request(RequestKind.CAPTURE, text) is None


@pytest.mark.parametrize(
    ("later", "valid"),
    [
        (timedelta(seconds=-1), False),
        (timedelta(), True),
        (VALID_FOR - timedelta(seconds=1), True),
        (VALID_FOR, False),
    ],
)
def test_request_is_valid_for_an_hour(later: timedelta, valid: bool) -> None:
    request = Request(kind=RequestKind.RESTART, at=AT, who="jane", why="slow")
    assert request.valid_at(AT + later) is valid
