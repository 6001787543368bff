"""What the settings refuse, by name and with what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.reporting.messages import Urgency
from controller.settings import ConfigurationError, read_notifications
from tests.clients.notifications.standin import settings

HOOK = {"name": "hook", "type": "Webhook", "url": "https://hooks.example.com/in"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"receivers": [HOOK, HOOK]}, "different names"),
        ({"receivers": [HOOK], "routes": [{"receivers": ["hoook"]}]}, "'hoook'; configured are: hook"),
        ({"receivers": [{**HOOK, "type": "Email"}]}, "Email"),
        ({"receivers": [{**HOOK, "ulr": "x"}]}, "ulr"),
        ({"receivers": [{**HOOK, "urlFile": "/a"}]}, "exactly one of `url` and `urlFile`"),
        ({"receivers": [{**HOOK, "url": "https://me:secret@example.com"}]}, "no user, password"),
        ({"receivers": [{**HOOK, "url": "ftp://example.com"}]}, "must begin with https://"),
        ({"receivers": [{**HOOK, "text": "{{ worklod.name }}"}]}, "'worklod' is undefined"),
        ({"receivers": [{**HOOK, "text": "{% for %}"}]}, "cannot be rendered"),
        ({"receivers": [{**HOOK, "text": "{{ ''.__class__.__mro__ }}"}]}, "unsafe"),
        ({"receivers": [{**HOOK, "text": "{{ '{}'.format() }}"}]}, "cannot be rendered: "),
        ({"receivers": [{**HOOK, "text": "{{ 5 | dictsort }}"}]}, "has no attribute 'items'"),
        (
            {"receivers": [{**HOOK, "text": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"}]},
            "recursion depth exceeded",
        ),
        ({"receivers": [{**HOOK, "title": "{{ " + 1000 * "(" + 1000 * ")" + " }}"}]}, "cannot be rendered: "),
        ({"receivers": [{"name": "s", "type": "Slack"}]}, "exactly one of `urlFile`"),
        ({"receivers": [{"name": "s", "type": "Slack", "tokenFile": "/t"}]}, "`channel` belongs to"),
        (
            {
                "receivers": [
                    {"name": "p", "type": "PagerDuty", "routingKeyFile": "/k", "url": "http://example.com"}
                ]
            },
            "must begin with https://",
        ),
        ({"receivers": [HOOK], "maximumAge": "soon"}, "maximumAge"),
    ],
)
def test_wrong_setting_is_refused_by_its_name(tmp_path: Path, document: Any, said: str) -> None:
    path = tmp_path / "notifications.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigurationError) as refused:
        read_notifications(path)
    assert said in str(refused.value)


def test_pager_is_for_what_needs_a_person_unless_the_route_says_otherwise() -> None:
    pager = {"name": "call", "type": "PagerDuty", "routingKeyFile": "/k"}
    both = settings(HOOK, pager)
    assert {route.receiver: route.at_least for route in both.flat_routes} == {
        "hook": Urgency.INFO,
        "call": Urgency.CRITICAL,
    }
    told = settings(pager, routes=[{"receivers": ["call"], "atLeast": "Warning"}])
    assert [route.at_least for route in told.flat_routes] == [Urgency.WARNING]


def test_without_a_file_nobody_is_told() -> None:
    assert read_notifications(None).flat_routes == ()
