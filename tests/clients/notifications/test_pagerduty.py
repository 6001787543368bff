"""
PagerDuty, checked against the Events API v2.

https://developer.pagerduty.com/docs/send-alert-event
"""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from controller.clients.notifications.settings import NotificationSettings
from controller.reporting.incident import Incident, Notified, Phase, TimelineEntry
from controller.reporting.messages import due_messages
from tests.clients.notifications.carrying import carry
from tests.clients.notifications.standin import NOW, a_message, an_incident, settings, vendor

KEY = "0123456789abcdef0123456789abcdef"
ACCEPTED = (202, {}, json.dumps({"status": "success", "message": "Event processed"}).encode())


def check_event(body: dict[str, Any]) -> dict[str, Any]:
    assert len(body["routing_key"]) == 32
    assert body["event_action"] in {"trigger", "acknowledge", "resolve"}
    assert 1 <= len(body["dedup_key"]) <= 255
    if body["event_action"] == "trigger":
        payload = body["payload"]
        assert 1 <= len(payload["summary"]) <= 1024
        assert payload["source"]
        assert payload["severity"] in {"critical", "error", "warning", "info"}
        assert datetime.fromisoformat(payload["timestamp"])
        assert isinstance(payload["custom_details"], dict)
    return body


def configured_for(url: str, folder: Path) -> NotificationSettings:
    (folder / "key").write_text(KEY)
    receiver = {"name": "call", "type": "PagerDuty", "routingKeyFile": str(folder / "key"), "url": url}
    return settings(receiver)


async def events(folder: Path, incident: Incident) -> list[dict[str, Any]]:
    with vendor(ACCEPTED) as server:
        configured = configured_for(f"{server.url}/v2/enqueue", folder)
        (delivery,) = await carry(configured, a_message(configured, incident))
    assert delivery.failure == ""
    assert all(received.path == "/v2/enqueue" for received in server.received)
    return [check_event(received.body) for received in server.received]


def told_before() -> dict[str, Any]:
    return {"notifications": (Notified(receiver="call", through=NOW.replace(hour=1)),)}


async def test_incident_that_needs_a_person_triggers_an_alert(tmp_path: Path) -> None:
    (event,) = await events(tmp_path, an_incident())
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "bilgepump/4a3c"
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["source"] == "prod"
    assert event["payload"]["class"] == "heap"


@pytest.mark.parametrize(
    ("phase", "because", "closed", "action"),
    [
        (Phase.RESTARTING, "ThresholdNear", False, "acknowledge"),
        (Phase.VERIFYING, "Soaking", False, "acknowledge"),
        (Phase.RESOLVED, "Recovered", True, "resolve"),
        (Phase.FAILED, "NotRecovered", True, "trigger"),
    ],
)
async def test_alert_follows_the_incident_by_one_key(
    tmp_path: Path, phase: Phase, because: str, closed: bool, action: str
) -> None:
    incident = an_incident(phase, because, closed=closed, **told_before())
    known = incident.status.timeline[-1:]
    incident = replace(incident, status=replace(incident.status, timeline=known))
    (event,) = await events(tmp_path, incident)
    assert (event["event_action"], event["dedup_key"]) == (action, "bilgepump/4a3c")


@pytest.mark.parametrize(
    ("phase", "because", "closed", "action"),
    [(Phase.FAILED, "NotRecovered", True, "resolve"), (Phase.ESCALATED, "BudgetSpent", False, "acknowledge")],
)
async def test_who_has_looked_is_not_called_again(
    tmp_path: Path, phase: Phase, because: str, closed: bool, action: str
) -> None:
    incident = an_incident(phase, because, closed=closed, **told_before())
    seen = TimelineEntry(at=NOW, what="Acknowledged", message="jane: fixed")
    timeline = (incident.status.timeline[-1], seen)
    (event,) = await events(tmp_path, replace(incident, status=replace(incident.status, timeline=timeline)))
    assert event["event_action"] == action


def test_leak_that_goes_its_way_pages_nobody(tmp_path: Path) -> None:
    configured = configured_for("https://events.pagerduty.com/v2/enqueue", tmp_path)
    quiet = an_incident(Phase.HELD, "NotYetNeeded")
    assert not list(due_messages(quiet, configured.flat_routes, {}, configured.maximum_age, NOW))


async def test_change_that_changes_nothing_for_the_pager_is_not_sent(tmp_path: Path) -> None:
    calm = an_incident(Phase.HELD, "NotYetNeeded", **told_before())
    calm = replace(calm, status=replace(calm.status, timeline=calm.status.timeline[-1:]))
    assert await events(tmp_path, calm) == []


async def test_key_of_the_wrong_kind_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with vendor(ACCEPTED) as server:
        configured = configured_for(server.url, tmp_path)
        (tmp_path / "key").write_text("u+a-rest-api-key")
        (delivery,) = await carry(configured, a_message(configured))
    assert not server.received
    assert "32 characters" in delivery.failure
    assert "u+a-rest-api-key" not in delivery.failure
