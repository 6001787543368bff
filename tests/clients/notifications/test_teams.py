"""
Microsoft Teams: what a workflow with the trigger "When a Teams webhook request is received" takes.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
https://adaptivecards.io/explorer/
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.reporting.incident import Incident
from tests.clients.notifications.carrying import carry
from tests.clients.notifications.standin import a_message, an_incident, settings, vendor

LARGEST_MESSAGE_BYTES = 28 * 1024


def check_card(body: dict[str, Any]) -> dict[str, Any]:
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["contentUrl"] is None
    card: dict[str, Any] = attachment["content"]
    assert card["type"] == "AdaptiveCard"
    assert card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"
    assert card["version"] in {"1.2", "1.3", "1.4", "1.5"}
    for element in card["body"]:
        if element["type"] == "TextBlock":
            assert isinstance(element["text"], str)
            assert element.get("color", "default") in {"default", "accent", "good", "warning", "attention"}
        else:
            assert element["type"] == "FactSet"
            assert all(set(fact) == {"title", "value"} for fact in element["facts"])
    return card


async def posted(folder: Path, incident: Incident) -> tuple[dict[str, Any], int]:
    with vendor((202, {}, b"")) as server:
        (folder / "url").write_text(f"{server.url}/workflows/abc/triggers/manual/paths/invoke?sig=secret")
        configured = settings({"name": "team", "type": "Teams", "urlFile": str(folder / "url")})
        (delivery,) = await carry(configured, a_message(configured, incident))
    assert delivery.failure == ""
    (received,) = server.received
    assert received.path.endswith("?sig=secret")
    assert received.headers["content-type"] == "application/json"
    return check_card(received.body), len(received.raw)


async def test_message_is_one_adaptive_card(tmp_path: Path) -> None:
    card, _ = await posted(tmp_path, an_incident())
    title, facts, *lines = card["body"]
    assert title["text"] == "\\[prod\\] Deployment shop/api: memory leak, restart held (BudgetSpent)"
    assert title["color"] == "attention"
    assert {"title": "Phase", "value": "Held (BudgetSpent)"} in facts["facts"]
    assert any("Fix the leak" in line["text"] for line in lines)
    assert any("\\<b\\> & \\*more\\*" in line["text"] for line in lines), "no Markdown from messages"


async def test_longest_message_is_within_what_teams_takes(tmp_path: Path) -> None:
    incident = an_incident()
    long = replace(incident.status, message="ü*" * 6000)
    _, size = await posted(tmp_path, replace(incident, status=long))
    assert size <= LARGEST_MESSAGE_BYTES
