"""Every kind of notice as an event on EventBridge: valid by the schema that we publish."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controller.decision.outcome import Action, Decision, Hold, HoldReason, Reason
from controller.platforms.ecs.events import entry
from controller.reporting import notices
from controller.reporting.notices import Notice
from controller.reporting.reasons import EventReason
from tests.ecs.conftest import REF
from tests.ecs.test_records import an_incident
from tests.fakes import NOW, a_judgement, a_workload

SCHEMA = json.loads((Path(__file__).parents[2] / "charts" / "ecs" / "event.schema.json").read_text())
SERVICE = a_workload(ref=REF)


def event(notice: Notice) -> dict[str, Any]:
    """What the target of a rule gets."""
    put = entry(notice, "default")
    return {
        "source": put["Source"],
        "detail-type": put["DetailType"],
        "time": put["Time"].isoformat(),
        "detail": json.loads(put["Detail"]),
    }


def a_hold(reason: HoldReason) -> Decision:
    return Decision(
        action=Action.HOLD, reason=reason, message="no", holds=(Hold(reason=reason, message="no"),)
    )


ALL: dict[str, Sequence[Notice]] = {
    "leak": notices.leak_detected(an_incident(), SERVICE, a_judgement(SERVICE), NOW),
    "warning": notices.warned(SERVICE, a_judgement(SERVICE), Reason.MEMORY_HIGH, NOW),
    "no profile": notices.evidence_told(an_incident(), SERVICE, (), NOW),
    "started": notices.restart_started(an_incident(), NOW),
    "refused": notices.restart_refused(an_incident(), "no\nreally", NOW),
    "unknown": notices.outcome_unknown_told(an_incident(), NOW),
    "growth ended": notices.growth_ended_told(an_incident(), NOW),
    "policy": [notices.policy_told(EventReason.PLATFORM_UNAVAILABLE, "shop", "api", "uid", "no answer", NOW)],
    **{reason.value: notices.held(an_incident(), SERVICE, a_hold(reason), NOW) for reason in HoldReason},
}


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ALL)
def test_event_is_valid_by_the_published_schema(name: str) -> None:
    assert ALL[name]
    for notice in ALL[name]:
        jsonschema.validate(event(notice), SCHEMA, jsonschema.Draft202012Validator)


def test_leak_is_told_of_the_service_and_of_its_task() -> None:
    kinds = [event(notice)["detail"]["regarding"]["kind"] for notice in ALL["leak"]]

    assert kinds == ["Service", "Task"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"type": "Error"},
        {"regarding": {"kind": "Pod", "namespace": "shop", "name": "x", "uid": ""}},
        {"message": "two\nlines"},
    ],
)
def test_schema_refuses_what_is_never_sent(change: dict[str, Any]) -> None:
    (good,) = ALL["started"]
    whole = event(good)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**whole, "detail": {**whole["detail"], **change}}, SCHEMA)
