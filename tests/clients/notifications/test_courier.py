"""The courier: patience, pace, room, and what it never does."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.clients.notifications.courier import QUEUE_LENGTH, Courier
from controller.clients.notifications.post import retry_after
from controller.reporting.incident import Incident
from tests.clients.notifications.carrying import carry
from tests.clients.notifications.standin import (
    NOW,
    Clock,
    Counts,
    a_message,
    an_incident,
    settings,
    vendor,
)


def numbered(number: int) -> Incident:
    return replace(an_incident(), name=f"api-{number}", uid=f"uid-{number}")


async def test_receiver_that_is_away_is_tried_again_until_it_answers() -> None:
    clock, counts = Clock(), Counts()
    with vendor((503, {}, b""), (502, {}, b""), (200, {}, b"")) as server:
        configured = settings({"name": "hook", "type": "Webhook", "url": server.url})
        (delivery,) = await carry(configured, a_message(configured), clock=clock, counts=counts)
    assert delivery.failure == ""
    assert len(server.received) == 3
    assert clock.slept[0] < clock.slept[1], "each pause is longer than the one before"
    assert counts.outcomes == ["delivered"]


async def test_what_is_no_news_any_more_is_given_up_and_counted() -> None:
    clock, counts = Clock(), Counts()
    with vendor((500, {}, b"")) as server:
        configured = settings({"name": "hook", "type": "Webhook", "url": server.url}, maximumAge="10m")
        (delivery,) = await carry(configured, a_message(configured), clock=clock, counts=counts)
    assert delivery.failure == "HTTP 500"
    assert counts.outcomes == ["expired"]
    assert clock.now - NOW < timedelta(minutes=11)
    assert len(server.received) > 3


@pytest.mark.parametrize(
    ("status", "told"),
    [(404, "HTTP 404"), (401, "HTTP 401"), (302, "HTTP 302: redirects are not followed")],
)
async def test_refusal_is_not_repeated_and_no_redirect_followed(status: int, told: str) -> None:
    with vendor((200, {}, b"")) as elsewhere, vendor((status, {"Location": elsewhere.url}, b"")) as server:
        configured = settings({"name": "hook", "type": "Webhook", "url": server.url})
        (delivery,) = await carry(configured, a_message(configured))
    assert delivery.failure == told
    assert len(server.received) == 1
    assert not elsewhere.received


async def test_messages_keep_the_pace_that_the_settings_allow() -> None:
    clock = Clock()
    with vendor() as server:
        hook = {"name": "hook", "type": "Webhook", "url": server.url, "messagesPerMinute": 2}
        configured = settings(hook)
        messages = [a_message(configured, numbered(number)) for number in range(5)]
        await carry(configured, *messages, clock=clock)
    assert len(server.received) == 5
    assert clock.now - NOW == timedelta(minutes=2)


async def test_full_queue_puts_off_and_never_blocks() -> None:
    counts = Counts()
    configured = settings({"name": "hook", "type": "Webhook", "url": "http://127.0.0.1:9"})
    courier = Courier(configured, counts, Clock())
    taken = [courier.send(a_message(configured, numbered(number))) for number in range(QUEUE_LENGTH + 3)]
    assert taken.count(False) == 3
    assert counts.outcomes == ["deferred"] * 3


async def test_one_message_about_an_incident_is_under_way_at_a_time() -> None:
    configured = settings({"name": "hook", "type": "Webhook", "url": "http://127.0.0.1:9"})
    courier = Courier(configured, Counts(), Clock())
    assert courier.send(a_message(configured))
    assert not courier.send(a_message(configured))


async def test_slow_receiver_keeps_no_other_waiting() -> None:
    given_up_trying = asyncio.Event()

    async def never(_: float) -> None:
        given_up_trying.set()
        await asyncio.Event().wait()

    with vendor((500, {}, b"")) as away, vendor() as here:
        configured = settings(
            {"name": "away", "type": "Webhook", "url": away.url},
            {"name": "here", "type": "Webhook", "url": here.url},
        )
        message = a_message(settings({"name": "away", "type": "Webhook", "url": away.url}))
        async with Courier(configured, Counts(), Clock(), never) as courier:
            for receiver in ("away", "here"):
                assert courier.send(replace(message, receiver=receiver))
            async with asyncio.timeout(20):
                await given_up_trying.wait()
            await courier.settle(timedelta(seconds=1))
            (delivery,) = courier.ended()
    assert len(here.received) == 1
    assert delivery.message.receiver == "here", "while the other one is still tried"


async def test_secrets_are_in_no_log_and_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = tmp_path / "url"
    address.write_text("http://127.0.0.1:9/services/T0/B0/topsecret")
    token = tmp_path / "token"
    token.write_text("xoxb-topsecret")
    clock = Clock()
    with vendor((400, {}, b"xoxb-topsecret is wrong")) as server:
        configured = settings(
            {"name": "nobody", "type": "Slack", "urlFile": str(address)},
            {"name": "echo", "type": "Webhook", "url": server.url, "bearerTokenFile": str(token)},
            maximumAge="5m",
        )
        first = a_message(settings({"name": "nobody", "type": "Slack", "urlFile": str(address)}))
        deliveries = await carry(configured, first, replace(first, receiver="echo"), clock=clock)
    assert {delivery.message.receiver: delivery.failure for delivery in deliveries} == {
        "echo": "HTTP 400",
        "nobody": "127.0.0.1 did not answer: ClientConnectorError",
    }
    said = "\n".join([*(str(vars(record)) for record in caplog.records), *map(str, deliveries)])
    assert "notification given up" in said
    assert "topsecret" not in said


async def test_missing_secret_is_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    secret = tmp_path / "later"
    with vendor() as server:
        hook = {"name": "hook", "type": "Webhook", "url": server.url, "bearerTokenFile": str(secret)}
        configured = settings(hook)

        class Patient(Clock):
            async def sleep(self, seconds: float) -> None:
                secret.write_text("here")
                await super().sleep(seconds)

        clock = Patient()
        (delivery,) = await carry(configured, a_message(configured), clock=clock)
    assert delivery.failure == ""
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("Mon, 02 Mar 2026 12:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("99999999", 600),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str, seconds: int | None) -> None:
    wait = retry_after(header, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


async def test_templates_say_it_in_the_house_s_own_words() -> None:
    with vendor() as server:
        configured = settings(
            {
                "name": "hook",
                "type": "Webhook",
                "url": server.url,
                "title": "{{ workload.name }} {{ phase | lower }}",
                "text": "{% for change in changes %}{{ change.what }} {% endfor %}{{ whatToDo }}",
            }
        )
        await carry(configured, a_message(configured))
    data = server.received[0].body["data"]
    assert data["title"] == "api held"
    assert data["text"].startswith("Leaking BudgetSpent Fix the leak")
