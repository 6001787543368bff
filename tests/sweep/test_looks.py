"""What was found to leak stays one for the act: over looks, and from sweep to sweep."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.detection.assessment import Verdict
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from controller.sweep.judging import Covered
from controller.sweep.looks import Looks
from controller.sweep.situations import with_evidence
from tests.fakes import NOW, a_judgement, a_leaking_situation, a_policy, a_workload

ITEM = Covered(a_workload(), a_policy())
DOUBT = a_judgement(verdict=Verdict.SUSPECT)


def found(verdict: Verdict, *, closed: bool = False) -> Incident:
    opened = steps.open_incident(
        a_policy(), a_workload(), a_judgement(verdict=verdict), None, NOW - timedelta(hours=3)
    )
    return replace(opened, status=replace(opened.status, closed_at=NOW)) if closed else opened


@pytest.mark.parametrize(
    ("incidents", "counted"),
    [
        pytest.param([found(Verdict.LEAKING)], 2, id="found to leak"),
        pytest.param([found(Verdict.SUSPECT)], 0, id="only ever suspected"),
        pytest.param([found(Verdict.LEAKING, closed=True)], 0, id="over"),
        pytest.param([], 0, id="nothing known"),
    ],
)
def test_doubts_are_counted_where_the_episode_was_found_to_leak(
    incidents: list[Incident], counted: int
) -> None:
    looks = Looks()
    looks.count(ITEM, DOUBT, incidents)

    assert looks.count(ITEM, DOUBT, incidents) == counted


def test_situation_knows_when_the_episode_was_found_to_leak() -> None:
    doubted = steps.judged(found(Verdict.LEAKING), DOUBT, NOW)

    assert with_evidence(a_leaking_situation(), doubted).leaked_at == NOW - timedelta(hours=3)
    assert with_evidence(a_leaking_situation(), found(Verdict.SUSPECT)).leaked_at is None
