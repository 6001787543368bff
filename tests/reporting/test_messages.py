"""What is due to whom, how urgent it is, and how it reads."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.reporting.incident import Incident, Notified, Phase, TimelineEntry
from controller.reporting.messages import (
    Message,
    Route,
    Stage,
    Urgency,
    due_messages,
    plain_text,
    title,
)
from tests.clients.notifications.standin import NOW, an_incident

HOUR = timedelta(hours=1)
TEAM = Route(receiver="team")


def due(incident: Incident, *routes: Route, labels: dict[str, str] | None = None) -> list[Message]:
    return list(due_messages(incident, routes or (TEAM,), labels or {}, HOUR, NOW))


def told(incident: Incident, receiver: str = "team", minutes: int = 0, thread: str = "") -> Incident:
    """The incident as it is once `receiver` knows all but the newest `minutes`."""
    note = Notified(receiver=receiver, through=NOW - timedelta(minutes=minutes), thread=thread)
    return replace(incident, status=replace(incident.status, notifications=(note,)))


def test_first_message_opens_and_holds_everything_so_far() -> None:
    (message,) = due(an_incident())
    assert message.stage is Stage.OPENED
    assert [entry.what for entry in message.changes] == ["Leaking", "BudgetSpent"]


def test_later_message_holds_what_is_new_and_its_thread() -> None:
    (message,) = due(told(an_incident(), minutes=2, thread="17.1"))
    assert message.stage is Stage.CHANGED
    assert [entry.what for entry in message.changes] == ["BudgetSpent"]
    assert message.thread == "17.1"


def test_nothing_new_is_nothing_due() -> None:
    assert due(told(an_incident())) == []


def test_old_changes_are_no_news() -> None:
    """A controller that was away for a day, or has just been told of a receiver, floods nobody."""
    incident = an_incident()
    old = tuple(replace(entry, at=entry.at - HOUR) for entry in incident.status.timeline)
    assert due(replace(incident, status=replace(incident.status, timeline=old))) == []


def test_id_is_that_of_the_change_and_not_of_the_attempt() -> None:
    first, again = due(an_incident()), due(an_incident())
    assert first[0].id == again[0].id
    newer = an_incident()
    entry = TimelineEntry(at=NOW, what="RestartOrdered")
    newer = replace(newer, status=replace(newer.status, timeline=(*newer.status.timeline, entry)))
    assert due(newer)[0].id != first[0].id


@pytest.mark.parametrize(
    ("phase", "because", "closed", "urgency"),
    [
        (Phase.HELD, "NotYetNeeded", False, Urgency.WARNING),
        (Phase.HELD, "BudgetSpent", False, Urgency.CRITICAL),
        (Phase.ESCALATED, "BudgetSpent", False, Urgency.CRITICAL),
        (Phase.FAILED, "NotRecovered", True, Urgency.CRITICAL),
        (Phase.RESOLVED, "Recovered", True, Urgency.INFO),
        (Phase.OBSERVED, "ObserveOnly", False, Urgency.WARNING),
    ],
)
def test_urgency_is_who_should_look(phase: Phase, because: str, closed: bool, urgency: Urgency) -> None:
    (message,) = due(an_incident(phase, because, closed=closed))
    assert message.urgency is urgency


def test_news_that_asks_nothing_of_anybody_is_info() -> None:
    (message,) = due(told(an_incident(Phase.RESTARTING, "ThresholdNear"), minutes=2))
    assert message.urgency is Urgency.INFO


def test_route_that_wants_less_is_told_the_rest_once_it_knows() -> None:
    pager = Route(receiver="team", at_least=Urgency.CRITICAL)
    calm = an_incident(Phase.RESOLVED, "Recovered", closed=True)
    assert due(calm, pager) == []
    (message,) = due(told(calm, minutes=2), pager)
    assert message.stage is Stage.CLOSED


@pytest.mark.parametrize(
    ("route", "matches"),
    [
        (Route(receiver="team", namespaces=("shop",)), True),
        (Route(receiver="team", namespaces=("sh*", "bank")), True),
        (Route(receiver="team", namespaces=("bank",)), False),
        (Route(receiver="team", policies=("api*",)), True),
        (Route(receiver="team", policies=("web",)), False),
        (Route(receiver="team", policy_labels=(("team", "shop"),)), True),
        (Route(receiver="team", policy_labels=(("team", "bank"),)), False),
        (Route(receiver="team", namespaces=("shop",), policy_labels=(("team", "bank"),)), False),
    ],
)
def test_route_matches_by_namespace_policy_and_labels(route: Route, matches: bool) -> None:
    assert bool(due(an_incident(), route, labels={"team": "shop"})) is matches


def test_who_began_to_hear_of_it_hears_the_end_though_the_policy_is_gone() -> None:
    route = Route(receiver="team", policy_labels=(("team", "shop"),))
    assert len(due(told(an_incident(), minutes=2), route, labels={})) == 1


def test_least_of_several_routes_counts() -> None:
    routes = (Route(receiver="team", at_least=Urgency.CRITICAL), Route(receiver="team"))
    assert len(due(an_incident(Phase.RESOLVED, "Recovered", closed=True), *routes)) == 1


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_title(phase: Phase) -> None:
    (message,) = due(an_incident(phase))
    assert title(message, "prod").startswith("[prod] Deployment shop/api: ")
    assert title(message, "").startswith("Deployment shop/api: ")


def test_text_says_numbers_diagnosis_news_advice_and_where_to_look() -> None:
    (message,) = due(an_incident())
    text = plain_text(message)
    for part in (
        "container app, grows 20 MiB/h, 350 MiB, 68% of its limit, threshold at 2026-03-02 13:00Z",
        "main.keep holds 90 %",
        "• 11:58:00Z Leaking: grows 20 MiB/h",
        "What to do: Fix the leak",
        "bilgepump report api-3f2a91c0de -n shop --open",
    ):
        assert part in text


def test_nobody_is_needed_any_more_once_somebody_has_acknowledged_it() -> None:
    failed = an_incident(Phase.FAILED, "NotRecovered", closed=True)
    looked = TimelineEntry(at=NOW, what="Acknowledged", message="jane: fixed")
    timeline = (*failed.status.timeline, looked)
    (message,) = due(told(replace(failed, status=replace(failed.status, timeline=timeline)), minutes=1))
    assert message.urgency is Urgency.INFO
    again = TimelineEntry(at=NOW + timedelta(seconds=1), what="NotRecovered")
    timeline = (*timeline, again)
    (message,) = due(told(replace(failed, status=replace(failed.status, timeline=timeline)), minutes=1))
    assert message.urgency is Urgency.CRITICAL
