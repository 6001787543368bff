"""The scorer on hand-made cases."""

import numpy as np
import pytest

from tests.benchmarks.detection.detector import Transition
from tests.benchmarks.detection.figures import beaten, figures
from tests.benchmarks.detection.labels import Label, Truth
from tests.benchmarks.detection.ours import transitions
from tests.benchmarks.detection.recording import LIMIT, WORKING_SET, Recording
from tests.benchmarks.detection.score import Outcome, judge, summary

HOUR = 3600.0
KEY = ("n", "p", "c")
TIME = 60.0 * np.arange(0, 60 * 60)
RAMP = Recording(
    namespace="n",
    pod="p",
    container="c",
    time=TIME,
    series={WORKING_SET: 20 + TIME / HOUR, LIMIT: np.full(len(TIME), 100.0)},
)
LEAK = Label(
    containers=(KEY,),
    truth=Truth.LEAK,
    because="a ramp of one percent an hour",
    onset=0.0,
    crossing=50 * HOUR,
    critical=65 * HOUR,
    deadline=50 * HOUR,
    classes=("heap",),
)
HEALTHY = Label(containers=(KEY,), truth=Truth.HEALTHY, because="flat")
UNDECIDABLE = Label(containers=(KEY,), truth=Truth.UNDECIDABLE, because="who knows")
FUTILE = Label(containers=(KEY,), truth=Truth.FUTILE, because="cache", onset=0.0, classes=("pageCache",))


def _says(verdict: str, hour: float, **more) -> Transition:
    return Transition(at=hour * HOUR, verdict=verdict, **more)


def _outcome(label: Label, *said: Transition, hostile: bool = False, family: str = "f") -> Outcome:
    return judge(label, {KEY: said}, {KEY: RAMP}, family=family, hostile=hostile, seed=0)


def test_a_leak_said_before_the_threshold_is_found_with_its_lead() -> None:
    outcome = _outcome(LEAK, _says("Suspect", 10), _says("Leaking", 30))
    assert outcome.found
    assert not outcome.false
    assert outcome.lead_hours == 20
    assert outcome.lead_share == pytest.approx(0.4)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param((), id="nothing said"),
        pytest.param((_says("Suspect", 10),), id="only suspected"),
        pytest.param((_says("Leaking", 50),), id="said at the crossing"),
        pytest.param((_says("Leaking", 55),), id="said after the crossing"),
    ],
)
def test_a_leak_is_missed(said: tuple[Transition, ...]) -> None:
    outcome = _outcome(LEAK, *said)
    assert not outcome.found
    assert outcome.lead_share == 0.0


def test_leaking_before_the_onset_is_false_and_finds_nothing() -> None:
    late = Label(
        containers=(KEY,),
        truth=Truth.LEAK,
        because="",
        onset=20 * HOUR,
        crossing=50 * HOUR,
        deadline=50 * HOUR,
    )
    outcome = _outcome(late, _says("Leaking", 5), _says("Healthy", 6), _says("Leaking", 30))
    assert outcome.false
    assert not outcome.found


@pytest.mark.parametrize("label", [HEALTHY, UNDECIDABLE], ids=["healthy", "undecidable"])
def test_leaking_said_once_is_false_for_ever(label: Label) -> None:
    assert _outcome(label, _says("Leaking", 5), _says("Healthy", 6)).false
    assert not _outcome(label, _says("Suspect", 5), _says("InsufficientData", 6)).false


def test_growth_a_restart_cannot_free_may_be_told_with_its_class_only() -> None:
    assert not _outcome(FUTILE, _says("Leaking", 5, growth_class="pageCache")).false
    assert _outcome(FUTILE, _says("Leaking", 5, growth_class="heap")).false
    assert _outcome(FUTILE, _says("Leaking", 5, growth_class="pageCache", action="Remediate")).false_act


def test_the_act_is_judged_apart_from_the_verdict() -> None:
    acted = _outcome(LEAK, _says("Leaking", 30, action="None"), _says("Leaking", 64, action="Remediate"))
    too_late = _outcome(LEAK, _says("Leaking", 30, action="None"), _says("Leaking", 66, action="Remediate"))
    assert acted.in_time is True
    assert too_late.in_time is False
    assert _outcome(HEALTHY, _says("Suspect", 5, action="Remediate")).false_act


def test_the_interval_is_judged_at_the_first_leaking() -> None:
    inside = _outcome(LEAK, _says("Leaking", 30, earliest=45 * HOUR, latest=55 * HOUR))
    assert inside.covered is True
    assert inside.width == pytest.approx(0.5, abs=0.01)
    assert _outcome(LEAK, _says("Leaking", 30, earliest=51 * HOUR, latest=55 * HOUR)).covered is False
    assert _outcome(LEAK, _says("Leaking", 30)).covered is False
    assert _outcome(LEAK, _says("Leaking", 30, earliest=45 * HOUR)).width == np.inf


def test_the_class_is_judged_where_the_series_show_it() -> None:
    assert _outcome(LEAK, _says("Leaking", 30, growth_class="heap")).class_right is True
    assert _outcome(LEAK, _says("Leaking", 30, growth_class="native")).class_right is False
    assert _outcome(FUTILE, _says("Suspect", 30, growth_class="pageCache")).class_right is True
    assert _outcome(HEALTHY, _says("Leaking", 30, growth_class="heap")).class_right is None


def test_short_lived_pods_are_found_by_any_of_them() -> None:
    other = ("n", "q", "c")
    label = Label(containers=(KEY, other), truth=Truth.LEAK, because="", onset=0.0, deadline=60 * HOUR)
    outcome = judge(
        label,
        {KEY: (), other: (_says("Leaking", 40),)},
        {KEY: RAMP, other: RAMP},
        family="f",
        hostile=False,
        seed=0,
    )
    assert outcome.found
    assert outcome.lead_share is None


def test_a_summary_adds_up() -> None:
    said = [
        _outcome(LEAK, _says("Leaking", 30), family="leak-a"),
        _outcome(LEAK, family="leak-b"),
        _outcome(HEALTHY, _says("Leaking", 30), hostile=True),
        _outcome(HEALTHY, _says("Suspect", 30)),
        _outcome(UNDECIDABLE),
        _outcome(FUTILE, _says("Suspect", 30)),
    ]
    total = summary(said)
    assert (total.precision, total.recall.share) == (0.5, 0.5)
    assert total.f1 == pytest.approx(0.5)
    assert (total.false_normal.hits, total.false_normal.of) == (0, 2)
    assert (total.false_hostile.hits, total.false_hostile.of) == (1, 1)
    assert total.suspect_healthy.share == 0.5
    assert (total.worst_family, total.worst_recall) == ("leak-b", 0.0)
    assert total.lead_share == pytest.approx(0.2)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    said = [
        *(_outcome(LEAK, _says("Leaking", 30)) for _ in range(3)),
        _outcome(LEAK),
        *(_outcome(HEALTHY, _says("Leaking", 30)) for _ in range(2)),
    ]
    total = summary(said)
    harmonic = 2 / (1 / total.precision + 1 / total.recall.share)
    assert total.f1 == pytest.approx(harmonic)


def test_figures_are_marked_against_least_and_aim() -> None:
    said = [_outcome(LEAK, _says("Leaking", 30))] * 95 + [_outcome(LEAK)] * 5
    marks = {figure.name: figure.mark for figure in figures(said, [], {})}
    assert marks["recall of decidable leaks before the threshold"] == "least"
    assert marks["leak injected into real pods, found before"] == "–"
    assert marks["leaks remediated before critical"] == "MISSED"


def test_a_peer_is_beaten_only_in_both_at_once() -> None:
    good = [_outcome(LEAK, _says("Leaking", 30)), _outcome(HEALTHY)]
    loud = [_outcome(LEAK, _says("Leaking", 30)), _outcome(HEALTHY, _says("Leaking", 30))]
    mute = [_outcome(LEAK), _outcome(HEALTHY)]
    assert beaten({"ours": good, "loud": loud}) == {"loud": True}
    assert beaten({"ours": loud, "mute": mute}) == {"mute": False}


def test_the_command_s_json_is_read_as_the_contract_says() -> None:
    answer = {
        "results": [
            {
                "namespace": "n",
                "pod": "p",
                "container": "c",
                "workload": None,
                "transitions": [
                    {
                        "time": "2026-03-02T00:10:00Z",
                        "verdict": "Leaking",
                        "reason": "Grows",
                        "class": "heap",
                        "growthBytesPerHour": 1e6,
                        "crossesThresholdAt": "2026-03-02T05:00:00Z",
                        "crossesThresholdEarliest": "2026-03-02T04:00:00+00:00",
                        "crossesThresholdLatest": None,
                        "action": "Remediate",
                        "actionReason": "WithinLead",
                    }
                ],
            }
        ],
        "summary": {},
    }
    (transition,) = transitions(answer)[KEY]
    assert transition.at == 1_772_410_200.0
    assert transition.earliest == 1_772_424_000.0
    assert transition.latest is None
    assert (transition.verdict, transition.growth_class, transition.action) == (
        "Leaking",
        "heap",
        "Remediate",
    )
