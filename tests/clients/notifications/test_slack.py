"""
Slack, checked against the shapes its documentation gives.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
https://docs.slack.dev/reference/methods/chat.postMessage
https://docs.slack.dev/reference/block-kit/blocks
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.reporting.incident import Phase
from controller.reporting.messages import Urgency
from tests.clients.notifications.carrying import carry
from tests.clients.notifications.standin import Clock, Counts, a_message, an_incident, settings, vendor

TOKEN = "xoxb-not-a-real-token"


def posted(ts: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"ok": True, "channel": "C0SHOP", "ts": ts}).encode()


def check_blocks(body: dict[str, Any]) -> None:
    assert body["text"], "the fallback that notifications show"
    assert 1 <= len(body["blocks"]) <= 50
    for block in body["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "section":
                assert block["text"]["type"] == "mrkdwn"
                assert 1 <= len(block["text"]["text"]) <= 3000
            case other:
                pytest.fail(f"a block of type {other}")


def bot(url: str, folder: Path) -> dict[str, Any]:
    (folder / "token").write_text(TOKEN)
    return {
        "name": "team",
        "type": "Slack",
        "tokenFile": str(folder / "token"),
        "channel": "C0SHOP",
        "apiUrl": f"{url}/api",
    }


async def test_bot_posts_the_first_message_and_answers_in_its_thread(tmp_path: Path) -> None:
    with vendor(posted("1772452800.000100"), posted("1772452860.000200")) as server:
        configured = settings(bot(server.url, tmp_path))
        (first,) = await carry(configured, a_message(configured))
        assert first.record.thread == "1772452800.000100"
        later = a_message(configured, an_incident(Phase.RESTARTING, "ThresholdNear"))
        (second,) = await carry(configured, replace(later, thread=first.record.thread))
    assert second.record.thread == "1772452800.000100", "the thread stays the first message's"
    opening, answer = server.received
    assert opening.path == "/api/chat.postMessage"
    assert opening.headers["authorization"] == f"Bearer {TOKEN}"
    assert opening.headers["content-type"] == "application/json; charset=utf-8"
    assert opening.body["channel"] == "C0SHOP"
    assert "thread_ts" not in opening.body
    assert (answer.body["thread_ts"], answer.body["reply_broadcast"]) == ("1772452800.000100", False)
    for received in server.received:
        check_blocks(received.body)


async def test_what_needs_a_person_is_shown_in_the_channel_too(tmp_path: Path) -> None:
    with vendor(posted("2.0")) as server:
        configured = settings(bot(server.url, tmp_path))
        message = replace(a_message(configured), thread="1.0")
        assert message.urgency is Urgency.CRITICAL
        await carry(configured, message)
    assert server.received[0].body["reply_broadcast"] is True


async def test_incoming_webhook_is_posted_to_its_secret_address(tmp_path: Path) -> None:
    with vendor((200, {}, b"ok")) as server:
        (tmp_path / "url").write_text(f"{server.url}/services/T0/B0/secret")
        configured = settings({"name": "team", "type": "Slack", "urlFile": str(tmp_path / "url")})
        (delivery,) = await carry(configured, a_message(configured))
    (received,) = server.received
    assert received.path == "/services/T0/B0/secret"
    assert delivery.record.thread == ""
    assert set(received.body) == {"text", "blocks"}
    check_blocks(received.body)


async def test_control_characters_of_slack_are_escaped(tmp_path: Path) -> None:
    with vendor(posted("1.0")) as server:
        configured = settings(bot(server.url, tmp_path))
        await carry(configured, a_message(configured))
    text = server.received[0].body["blocks"][1]["text"]["text"]
    assert "&lt;b&gt; &amp; *more*" in text


async def test_error_in_a_success_is_an_error(tmp_path: Path) -> None:
    counts = Counts()
    with vendor((200, {}, b'{"ok":false,"error":"channel_not_found"}')) as server:
        configured = settings(bot(server.url, tmp_path))
        (delivery,) = await carry(configured, a_message(configured), counts=counts)
    assert delivery.failure == "Slack says channel_not_found"
    assert counts.outcomes == ["failed"]
    assert len(server.received) == 1


async def test_rate_limit_is_waited_for_as_long_as_slack_says(tmp_path: Path) -> None:
    """https://docs.slack.dev/apis/web-api/rate-limits: HTTP 429 and `Retry-After` in seconds."""
    clock = Clock()
    limited = (429, {"Retry-After": "30"}, b'{"ok":false,"error":"ratelimited"}')
    with vendor(limited, posted("1.0")) as server:
        configured = settings(bot(server.url, tmp_path))
        (delivery,) = await carry(configured, a_message(configured), clock=clock)
    assert delivery.failure == ""
    assert len(server.received) == 2
    assert 30 <= clock.slept[0] <= 36


async def test_long_answer_is_read_whole(tmp_path: Path) -> None:
    """Slack repeats the message in its answer, so that is as long as the message at least."""
    said = {"ok": True, "message": {"text": "x" * 40_000}, "ts": "1772452800.000100"}
    with vendor((200, {}, json.dumps(said).encode())) as server:
        configured = settings(bot(server.url, tmp_path))
        (delivery,) = await carry(configured, a_message(configured))
    assert (delivery.failure, delivery.record.thread) == ("", "1772452800.000100")
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'{"ok":true,"ts":"17724'),
        ({"Content-Length": "5000"}, b'{"ok":true,"ts":"17724'),
        ({}, b'["ok"]'),
        ({}, b"<html>"),
        ({}, b'{"ok":true,"message":"' + b"x" * 70_000 + b'"}'),
    ],
    ids=["cut", "connection broken", "no object", "no JSON", "longer than is read"],
)
async def test_success_that_cannot_be_read_is_not_posted_again(
    tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    counts = Counts()
    with vendor((200, headers, body)) as server:
        configured = settings(bot(server.url, tmp_path))
        (delivery,) = await carry(configured, a_message(configured), counts=counts)
    assert (delivery.failure, delivery.record.thread) == ("", "")
    assert counts.outcomes == ["delivered"]
    assert len(server.received) == 1
