from dataclasses import replace
from datetime import timedelta

from controller.decision.decide import decide
from controller.decision.gates import GATES
from controller.decision.outcome import HoldReason
from controller.decision.situation import Captured
from controller.reporting import incident_steps as steps
from controller.reporting.html.page import render_report
from controller.reporting.html.report import IncidentReport
from controller.reporting.incident import DiagnosisRecord, Incident
from controller.reporting.incident_report import incident_report
from tests.fakes import NOW, a_judgement, a_leaking_situation, a_policy
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
    assert found == "The profiles: main.keep holds 90 %."
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


def test_what_people_wrote_is_escaped() -> None:
    incident = an_incident()
    hostile = replace(incident, status=replace(incident.status, message="<script>alert(1)</script>"))

    assert "<script>alert" not in render_report(report_of(hostile))
