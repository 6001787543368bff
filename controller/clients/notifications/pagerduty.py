"""
PagerDuty, Events API v2: one alert per incident, acknowledged while it is being restarted.

https://developer.pagerduty.com/docs/send-alert-event: `trigger`, `acknowledge` and `resolve` with the
incident's identity as `dedup_key`; 202 is success, 429 means later.
"""

import json
from datetime import datetime
from typing import Any

from controller.clients.notifications.settings import PagerDutySettings
from controller.clients.notifications.target import Answer, CannotTell, Letter, Request, read_secret
from controller.reporting.incident import Phase
from controller.reporting.messages import Message, Stage, Urgency, needs_a_person

LONGEST_SUMMARY = 1024
LONGEST_KEY = 255
_SEVERITIES = {Urgency.INFO: "info", Urgency.WARNING: "warning", Urgency.CRITICAL: "critical"}


class PagerDuty:
    """A `Target` for PagerDuty."""

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings

    def request(self, letter: Letter, now: datetime) -> Request | None:  # noqa: ARG002  (as the protocol)
        """The event; None where the alert stays as it is. Raises CannotTell, TryLater."""
        event = event_of(letter)
        if event is None:
            return None
        key = read_secret(self._settings.routing_key_file)
        if len(key) != 32:
            raise CannotTell(f"{self._settings.routing_key_file} must hold a routing key of 32 characters")
        return Request(
            url=self._settings.url,
            body=json.dumps({"routing_key": key, **event}, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"},
        )

    def thread(self, answer: Answer) -> str:  # noqa: ARG002  (the protocol's signature)
        """None: PagerDuty groups by our own key."""
        return ""


def event_of(letter: Letter) -> dict[str, Any] | None:
    """The event without its routing key; None where the alert stays as it is."""
    message, document = letter.message, letter.document
    action, incident = action_of(message), message.incident
    if action is None:
        return None
    event: dict[str, Any] = {
        "event_action": action,
        "dedup_key": f"bilgepump/{incident.uid or incident.folder}"[:LONGEST_KEY],
    }
    if action != "trigger":
        return event
    workload = incident.spec.workload
    return event | {
        "client": "Bilgepump",
        "payload": {
            "summary": letter.title[:LONGEST_SUMMARY],
            "source": document["cluster"] or workload.namespace,
            "severity": _SEVERITIES[message.urgency],
            "timestamp": message.through.isoformat(),
            "component": f"{workload.kind}/{workload.name}",
            "group": workload.namespace,
            "class": document["memory"]["class"] or "memory",
            "custom_details": {**document, "text": letter.text},
        },
    }


def action_of(message: Message) -> str | None:
    """What happens to the alert. A failed restart ends the episode, and a person still has to look."""
    incident = message.incident
    if needs_a_person(incident) or message.urgency is not Urgency.INFO:
        return "trigger"
    if not incident.open:
        return "resolve"
    if incident.acknowledged or incident.status.phase in (Phase.RESTARTING, Phase.VERIFYING):
        return "acknowledge"
    return "trigger" if message.stage is Stage.OPENED else None
