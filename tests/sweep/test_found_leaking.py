"""Which container was found to leak, in which of its runs: another one's leak condemns nobody."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.decision.decide import decide
from controller.decision.outcome import Action
from controller.decision.situation import Captured
from controller.detection.assessment import Assessment, Verdict
from controller.detection.judgement import Judgement
from controller.detection.reasons import AssessmentReason
from controller.metrics.series import ContainerKey
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from controller.reporting.incident_document import from_document, to_document
from controller.sweep.judging import Covered
from controller.sweep.looks import Looks
from controller.sweep.situations import with_evidence
from tests.fakes import MIB, NOW, a_judgement, a_leaking_situation, a_policy, a_workload, an_assessment

EARLIER = NOW - timedelta(hours=3)
OTHERS = {
    "same run": an_assessment("api-1"),
    "another replica": an_assessment("api-2"),
    "another container": an_assessment("api-1", key=ContainerKey("shop", "api-1", "cache")),
    "its next run": an_assessment("api-1", started_at=NOW - timedelta(hours=1)),
}
DOUBTED = [pytest.param(one, found == "same run", id=found) for found, one in OTHERS.items()]


def judged(*assessments: Assessment) -> Judgement:
    worst, leaking = assessments[0], {one.key.pod for one in assessments if one.verdict is Verdict.LEAKING}
    return replace(
        a_judgement(), worst=worst, assessments=assessments, leaking_replicas=tuple(sorted(leaking))
    )


def doubtful(one: Assessment) -> Judgement:
    """Above the threshold and near the critical line, in a shape that could be bounded."""
    return judged(
        replace(
            one,
            verdict=Verdict.SUSPECT,
            reason=AssessmentReason.COULD_BE_BOUNDED,
            used_bytes=400 * MIB,
            critical_earliest=NOW,
        )
    )


def found_leaking(*assessments: Assessment) -> Incident:
    opened = steps.open_incident(
        a_policy(), a_workload(), judged(*assessments or [an_assessment("api-1")]), None, EARLIER
    )
    return from_document(to_document(opened))


@pytest.mark.parametrize(("one", "leaked"), DOUBTED)
def test_only_what_was_found_to_leak_itself_is_restarted_while_doubtful(
    one: Assessment, leaked: bool
) -> None:
    situation = a_leaking_situation(judgement=doubtful(one))
    decision = decide(replace(with_evidence(situation, found_leaking()), captured=Captured.LATE))

    assert (decision.action is Action.REMEDIATE) is leaked


@pytest.mark.parametrize(("one", "leaked"), DOUBTED)
def test_only_looks_at_what_was_found_to_leak_itself_count(one: Assessment, leaked: bool) -> None:
    looks = Looks()

    assert looks.count(Covered(a_workload(), a_policy()), doubtful(one), [found_leaking()]) == int(leaked)


def test_every_leaking_container_is_remembered_and_not_only_the_worst() -> None:
    incident = found_leaking(an_assessment("api-1"), an_assessment("api-2"))
    later = steps.judged(incident, judged(an_assessment("api-1"), OTHERS["another container"]), NOW)

    runs = [(one.replica, one.container, one.found_at) for one in later.status.leaking_runs]
    assert runs == [("api-1", "app", EARLIER), ("api-2", "app", EARLIER), ("api-1", "cache", NOW)]


def test_next_run_that_leaks_takes_the_last_ones_place() -> None:
    later = steps.judged(found_leaking(), judged(OTHERS["its next run"]), NOW)

    assert [one.found_at for one in later.status.leaking_runs] == [NOW]


def test_what_is_known_already_is_not_written_again() -> None:
    incident = found_leaking()

    assert steps.judged(incident, judged(an_assessment("api-1")), NOW) is incident


def test_so_many_runs_are_kept_and_no_more() -> None:
    many = [an_assessment(f"api-{index}") for index in range(steps.LEAKING_RUNS + 1)]
    incident = found_leaking(*many)
    assert len(incident.status.leaking_runs) == steps.LEAKING_RUNS
    assert steps.judged(incident, judged(*many), NOW) is incident

    first_is_gone = steps.judged(incident, judged(*many[1:]), NOW)
    assert [one.replica for one in first_is_gone.status.leaking_runs] == [one.key.pod for one in many[1:]]
