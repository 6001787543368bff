"""What `docs/notifications.md` shows is what happens."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.clients.notifications.settings import NotificationSettings
from controller.clients.notifications.templates import check_template
from controller.clients.notifications.webhook import signature_headers, signing_key
from controller.reporting.messages import Urgency
from tests.clients.notifications.standin import NOW, a_message, settings

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def shape(value: Any) -> Any:
    """Names and nesting, without values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) else None


def test_the_example_is_what_the_controller_takes() -> None:
    values = yaml.safe_load(blocks("yaml")[0])["notifications"]
    del values["secretName"]
    configured = NotificationSettings.model_validate(values)
    assert [(route.receiver, route.at_least) for route in configured.flat_routes] == [
        ("team-shop", Urgency.INFO),
        ("on-call", Urgency.CRITICAL),
    ]


def test_the_event_has_the_fields_that_it_shows() -> None:
    from controller.clients.notifications.target import Letter
    from controller.clients.notifications.webhook import cloud_event
    from controller.reporting.messages import message_document, plain_text

    configured = settings({"name": "hook", "type": "Webhook", "url": "https://example.com"})
    message = a_message(configured)
    document = message_document(message, "prod-eu1")
    letter = Letter(message=message, title=document["title"], text=plain_text(message), document=document)
    shown = json.loads(blocks("json")[0])
    assert shape(shown) == shape(json.loads(json.dumps(cloud_event(letter))))


def test_the_templates_render() -> None:
    for template in yaml.safe_load(blocks("yaml")[1]).values():
        check_template(template)


@pytest.mark.parametrize("tampered", [False, True])
def test_the_check_of_a_signature_works(tampered: bool) -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    secret = "whsec_" + "A" * 44
    headers = signature_headers(signing_key(secret), "id-1", b"{}", NOW)
    assert names["is_genuine"](headers, b"{ }" if tampered else b"{}", secret) is not tampered
