"""
A generic receiver, checked against CloudEvents 1.0.2 and Standard Webhooks 1.0.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from datetime import datetime
from pathlib import Path

import pytest

from controller.clients.notifications.target import CannotTell
from controller.clients.notifications.webhook import signing_key
from controller.reporting.incident import Phase
from tests.clients.notifications.carrying import carry
from tests.clients.notifications.standin import NOW, Received, a_message, an_incident, settings, vendor

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


def verify(received: Received, secret: str) -> None:
    """As the specification tells a receiver to: over the raw body, before it is read."""
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed + received.raw, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in received.headers["webhook-signature"].split(" ")
    assert abs(int(received.headers["webhook-timestamp"]) - NOW.timestamp()) < 300


async def test_event_is_a_signed_cloud_event(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    with vendor((204, {}, b"")) as server:
        hook = {"name": "hook", "type": "Webhook", "url": f"{server.url}/in", "secretFile": str(secret)}
        configured = settings(hook)
        (delivery,) = await carry(configured, a_message(configured))
    assert delivery.failure == ""
    (received,) = server.received
    verify(received, SECRET)
    assert received.path == "/in"
    assert received.headers["content-type"].startswith("application/cloudevents+json")
    event = received.body
    assert event["specversion"] == "1.0"
    for attribute in ("id", "source", "type", "subject"):
        assert isinstance(event[attribute], str)
        assert event[attribute]
    assert event["id"] == received.headers["webhook-id"] == delivery.message.id
    assert event["type"] == "dev.bilgepump.incident.opened"
    assert event["source"] == "/bilgepump/prod/shop/api-3f2a91c0de"
    assert datetime.fromisoformat(event["time"]) == delivery.message.through
    assert event["data"]["urgency"] == "Critical"
    assert event["data"]["workload"]["name"] == "api"
    assert event["data"]["memory"]["growthBytesPerHour"] == 20 * 2**20
    assert [change["what"] for change in event["data"]["changes"]] == ["Leaking", "BudgetSpent"]


async def test_same_message_keeps_its_id_and_another_stage_its_type() -> None:
    with vendor() as server:
        configured = settings({"name": "hook", "type": "Webhook", "url": server.url})
        closed = an_incident(Phase.RESOLVED, "Recovered", closed=True)
        for incident in (closed, closed):
            await carry(configured, a_message(configured, incident))
    first, second = (received.body for received in server.received)
    assert first["id"] == second["id"]
    assert first["type"] == "dev.bilgepump.incident.closed"
    assert "webhook-signature" not in server.received[0].headers


async def test_bearer_token_is_read_anew_for_every_message(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with vendor() as server:
        configured = settings(
            {"name": "hook", "type": "Webhook", "url": server.url, "bearerTokenFile": str(token)}
        )
        for text in ("old", "new"):
            token.write_text(text)
            await carry(configured, a_message(configured))
    assert [one.headers["authorization"] for one in server.received] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("secret", ["plain", "whsec_???", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_")])
def test_secret_of_another_form_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(CannotTell) as refused:
        signing_key(secret)
    assert secret not in str(refused.value)
