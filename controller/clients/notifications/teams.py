"""
Microsoft Teams: a workflow whose trigger is "When a Teams webhook request is received".

It takes a message with one Adaptive Card, and answers 202. There are no threads.
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using,
https://adaptivecards.io/explorer/AdaptiveCard.html (Teams shows versions up to 1.5).
"""

import json
from datetime import datetime
from typing import Any

from controller.clients.notifications.settings import TeamsSettings
from controller.clients.notifications.target import Answer, Letter, Request
from controller.clients.notifications.webhook import secret_url
from controller.reporting.messages import Urgency

LONGEST_TEXT = 5000
"""A message may have 28 KB (Limits and specifications for Microsoft Teams), and a sign three bytes."""

_COLOURS = {Urgency.INFO: "accent", Urgency.WARNING: "warning", Urgency.CRITICAL: "attention"}


class Teams:
    """A `Target` for Microsoft Teams."""

    def __init__(self, settings: TeamsSettings) -> None:
        self._settings = settings

    def request(self, letter: Letter, now: datetime) -> Request:  # noqa: ARG002  (the protocol's signature)
        """The card. Raises CannotTell, TryLater."""
        return Request(
            url=secret_url(self._settings.url_file),
            body=json.dumps(message_of(letter), ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"},
        )

    def thread(self, answer: Answer) -> str:  # noqa: ARG002  (the protocol's signature)
        """None."""
        return ""


def message_of(letter: Letter) -> dict[str, Any]:
    """The message with its card."""
    document, urgency = letter.document, letter.message.urgency
    facts = {
        "Urgency": urgency.value,
        "Phase": f"{document['phase']} ({document['because']})",
        "Policy": f"{document['policy']['namespace']}/{document['policy']['name']}",
        "Incident": f"{document['incident']['namespace']}/{document['incident']['name']}",
    }
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {
                "type": "TextBlock",
                "text": _plain(letter.title),
                "weight": "bolder",
                "size": "medium",
                "color": _COLOURS[urgency],
                "wrap": True,
            },
            {"type": "FactSet", "facts": [{"title": name, "value": text} for name, text in facts.items()]},
            *(
                {"type": "TextBlock", "text": _plain(line), "wrap": True, "spacing": "small"}
                for line in letter.text[:LONGEST_TEXT].splitlines()
            ),
        ],
    }
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }


def _plain(text: str) -> str:
    """Text blocks read a part of Markdown: links and emphasis are not for a workload's name to make."""
    return "".join(f"\\{sign}" if sign in "\\[]*_`<>" else sign for sign in text)
