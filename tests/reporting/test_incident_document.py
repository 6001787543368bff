import pytest

from controller.decision.decide import decide
from controller.decision.mechanism import Choice, Mechanism
from controller.decision.situation import Captured
from controller.remediation.order import Receipt, ReceiptOutcome, order_remediation
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident, Phase, incident_name
from controller.reporting.incident_document import (
    UnreadableIncident,
    from_document,
    merge_patch,
    to_document,
)
from controller.verification.recovery import Recovery, RecoveryOutcome
from tests.fakes import NOW, a_judgement, a_leaking_situation, a_policy, a_workload


def an_incident() -> Incident:
    return steps.open_incident(a_policy(), a_workload(), a_judgement(), None, NOW)


def a_closed_incident() -> Incident:
    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="both leak")
    order = order_remediation(a_workload(), choice, incident="x", memory_before_bytes=1, now=NOW)
    incident = steps.ordered(an_incident(), order, "ThresholdNear", choice.because, NOW)
    receipt = Receipt(outcome=ReceiptOutcome.DONE, at=NOW, generation=4)
    incident = steps.rolled_out(steps.carried_out(incident, receipt, NOW), NOW)
    recovery = Recovery(outcome=RecoveryOutcome.RECOVERED, message="came down")
    return steps.recovered(incident, recovery, a_workload(), NOW)


@pytest.mark.parametrize("incident", [an_incident(), a_closed_incident()], ids=["open", "closed"])
def test_incident_survives_its_document(incident: Incident) -> None:
    assert from_document(to_document(incident)) == incident


def test_document_that_is_not_ours_is_refused_by_field() -> None:
    document = to_document(an_incident())
    document["status"]["phase"] = "Exploded"

    with pytest.raises(UnreadableIncident, match=r"status\.phase"):
        from_document(document)


def test_name_depends_on_workload_and_last_remediation_only() -> None:
    assert incident_name(a_workload(), None) == incident_name(a_workload(generation=9), None)
    assert incident_name(a_workload(), None) != incident_name(a_workload(), NOW)
    assert incident_name(a_workload(), None) != incident_name(a_workload(uid="other"), None)


def test_conditions_say_closed_and_recovered() -> None:
    conditions = {
        one["type"]: one["status"] for one in to_document(a_closed_incident())["status"]["conditions"]
    }

    assert conditions == {"Closed": "True", "Recovered": "True"}
    assert to_document(an_incident())["status"]["conditions"][1]["status"] == "Unknown"


def test_timeline_keeps_its_first_entry_and_the_newest() -> None:
    incident = an_incident()
    for number in range(200):
        incident = steps.growth_ended(incident, f"{number}", NOW)

    timeline = incident.status.timeline
    assert len(timeline) == steps.TIMELINE_LENGTH
    assert (timeline[0].what, timeline[-1].message) == ("Leaking", "199")


def test_same_decision_changes_nothing() -> None:
    situation = a_leaking_situation(captured=Captured.LATE, workload=a_workload(ready_replicas=1))
    held = steps.decided(an_incident(), decide(situation), NOW)

    assert held.status.phase is Phase.HELD
    assert steps.decided(held, decide(situation), NOW) is held


def test_same_numbers_change_nothing_and_a_tenth_more_does() -> None:
    incident = an_incident()
    used = incident.status.assessment.used_bytes  # type: ignore[union-attr]
    assert used is not None

    assert steps.judged(incident, a_judgement(used_bytes=int(used * 1.05)), NOW) is incident
    assert steps.judged(incident, a_judgement(used_bytes=int(used * 1.11)), NOW) is not incident


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, {"a": {"y": 3}}),
        ({}, {"a": [1]}, {"a": [1]}),
    ],
)
def test_merge_patch_holds_only_what_differs(old: dict, new: dict, patch: dict) -> None:  # type: ignore[type-arg]
    assert merge_patch(old, new) == patch
