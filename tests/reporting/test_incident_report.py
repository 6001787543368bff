from dataclasses import replace
from datetime import timedelta

import pytest

from controller.decision.decide import decide
from controller.decision.gates import GATES
from controller.decision.outcome import HoldReason
from controller.decision.situation import Captured
from controller.reporting import incident_steps as steps
from controller.reporting.html.page import render_report
from controller.reporting.html.report import IncidentReport
from controller.reporting.incident import DiagnosisRecord, Incident, Ledger
from controller.reporting.incident_report import incident_report
from tests.fakes import MIB, NOW, a_judgement, a_leaking_situation, a_policy
from tests.reporting.test_incident_document import a_closed_incident, an_incident


def report_of(incident: Incident) -> IncidentReport:
    return incident_report(incident, diagnosis=None, memory=None, baseline=(), now=NOW)


def held_by_suspension() -> Incident:
    decision = decide(a_leaking_situation(policy=a_policy(suspend=True)))
    return steps.decided(an_incident(), decision, NOW)


def test_three_sentences_say_what_grew_what_it_was_and_what_was_done() -> None:
    incident = steps.diagnosed(a_closed_incident(), DiagnosisRecord(summary="main.keep holds 90 %"))

    grew, found, done = report_of(incident).sentences

    assert grew.startswith("Memory of container app grew by 20 MiB/h")
    assert found == "The evidence: main.keep holds 90 %."
    assert done == "RollingRestart was ordered at 2026-03-02 12:00 UTC with 0.0 MiB in use, and came down."


def test_held_incident_shows_every_gate_and_which_holds() -> None:
    answers = report_of(held_by_suspension()).gates

    assert len(answers) >= len(GATES)
    assert [answer.gate for answer in answers if answer.held] == ["PolicySuspended"]


def test_remediated_incident_passed_every_gate() -> None:
    answers = report_of(a_closed_incident()).gates

    assert answers
    assert not any(answer.held for answer in answers)


def test_waiting_for_the_threshold_is_not_told_as_passed_gates() -> None:
    crossing = a_judgement().worst.crossing
    assert crossing is not None
    far = replace(crossing, earliest=NOW + timedelta(hours=9))
    decision = decide(a_leaking_situation(judgement=a_judgement(crossing=far), captured=Captured.EARLY))
    incident = steps.decided(an_incident(), decision, NOW)

    assert [answer.gate for answer in report_of(incident).gates] == [HoldReason.NOT_YET_NEEDED.value]


def test_page_tells_facts_timeline_and_outcome() -> None:
    page = render_report(report_of(a_closed_incident()))

    for told in (
        "shop/api-",
        "generation 1",
        "RestartOrdered",
        "came down",
        "Recovered",
        "gates let it pass",
    ):
        assert told in page


@pytest.mark.parametrize(
    ("ledger", "told"),
    [
        (
            Ledger(replicas_replaced=2, oom_kills_avoided=1, memory_saved_byte_hours=20 * MIB),
            "2 replicas replaced, 1 OOM kill avoided, 20 MiB hours of memory saved until it was closed",
        ),
        (Ledger(replicas_replaced=1, oom_kills_avoided=0), "1 replica replaced, 0 OOM kills avoided"),
    ],
)
def test_page_tells_what_is_known_of_the_ledger(ledger: Ledger, told: str) -> None:
    incident = a_closed_incident()
    report = report_of(replace(incident, status=replace(incident.status, ledger=ledger)))

    assert ("Ledger", told) in report.facts
    assert told in render_report(report)


@pytest.mark.parametrize("ledger", [None, Ledger()])
def test_page_is_silent_about_a_ledger_of_which_nothing_is_known(ledger: Ledger | None) -> None:
    incident = a_closed_incident()
    report = report_of(replace(incident, status=replace(incident.status, ledger=ledger)))

    assert "Ledger" not in dict(report.facts)


def test_what_people_wrote_is_escaped() -> None:
    incident = an_incident()
    hostile = replace(incident, status=replace(incident.status, message="<script>alert(1)</script>"))

    assert "<script>alert" not in render_report(report_of(hostile))
