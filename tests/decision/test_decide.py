from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.decision.decide import decide
from controller.decision.history import RemediationHistory
from controller.decision.outcome import Action, Decision, HoldReason, Reason
from controller.decision.situation import Captured, Fleet, Limits, Powers, Situation
from controller.detection.assessment import Crossing, Verdict
from controller.detection.reasons import AssessmentReason
from controller.inventory.request import Request, RequestKind
from controller.policy.memory_policy import (
    Day,
    EvidenceRules,
    Mode,
    RemediationRules,
    SuspectAboveCritical,
    Window,
)
from tests.fakes import MIB, NOW, a_judgement, a_leaking_situation, a_policy, an_act

LIMIT, THRESHOLD, CRITICAL = 512 * MIB, 358 * MIB, int(0.85 * 512 * MIB)


def crossing(earliest: timedelta) -> Crossing:
    return Crossing(earliest=NOW + earliest, likely=NOW + 2 * earliest, latest=None)


FAR = {"used_bytes": 200 * MIB, "crossing": crossing(timedelta(hours=9))}
NEAR = {"used_bytes": 340 * MIB, "crossing": crossing(timedelta(minutes=20))}
CROSSED = {"used_bytes": 370 * MIB, "crossing": None}
ABOVE = {"used_bytes": 450 * MIB, "crossing": None}

TABLE = [
    (Verdict.LEAKING, FAR, Captured.EARLY, Action.HOLD, HoldReason.NOT_YET_NEEDED),
    (Verdict.LEAKING, NEAR, Captured.LATE, Action.REMEDIATE, Reason.THRESHOLD_NEAR),
    (Verdict.LEAKING, CROSSED, Captured.LATE, Action.REMEDIATE, Reason.THRESHOLD_CROSSED),
    (Verdict.LEAKING, ABOVE, Captured.LATE, Action.REMEDIATE, Reason.ABOVE_CRITICAL),
    (Verdict.SUSPECT, FAR, Captured.EARLY, Action.NONE, Reason.SUSPECTED),
    (Verdict.SUSPECT, NEAR, Captured.LATE, Action.NONE, Reason.MEMORY_HIGH_CAUSE_UNCLEAR),
    (Verdict.SUSPECT, CROSSED, Captured.LATE, Action.NONE, Reason.MEMORY_HIGH_CAUSE_UNCLEAR),
    (Verdict.SUSPECT, ABOVE, Captured.LATE, Action.NONE, Reason.MEMORY_HIGH_CAUSE_UNCLEAR),
    (Verdict.HEALTHY, FAR, Captured.NOTHING, Action.NONE, Reason.NOTHING_TO_DO),
    (Verdict.HEALTHY, CROSSED, Captured.NOTHING, Action.NONE, Reason.MEMORY_HIGH),
    (Verdict.HEALTHY, ABOVE, Captured.NOTHING, Action.NONE, Reason.MEMORY_HIGH),
    (Verdict.INSUFFICIENT_DATA, FAR, Captured.NOTHING, Action.NONE, Reason.NOTHING_TO_DO),
    (Verdict.INSUFFICIENT_DATA, ABOVE, Captured.NOTHING, Action.NONE, Reason.MEMORY_HIGH_UNJUDGED),
]


@pytest.mark.parametrize(("verdict", "memory", "wanted", "action", "reason"), TABLE)
def test_table_says_what_is_done(
    verdict: Verdict, memory: dict[str, object], wanted: Captured, action: Action, reason: Reason
) -> None:
    situation = a_leaking_situation(
        judgement=a_judgement(verdict=verdict, **memory), captured=Captured.LATE, kept_heap=True
    )

    decision = decide(situation)

    assert (decision.action, decision.reason) == (action, reason)


@pytest.mark.parametrize(("verdict", "memory", "wanted", "action", "reason"), TABLE)
def test_evidence_comes_before_the_act(
    verdict: Verdict, memory: dict[str, object], wanted: Captured, action: Action, reason: Reason
) -> None:
    for captured in Captured:
        situation = a_leaking_situation(
            judgement=a_judgement(verdict=verdict, **memory), captured=captured, kept_heap=True
        )

        asks_for_more = decide(situation).action is Action.CAPTURE

        assert asks_for_more == (captured < wanted)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"policy": a_policy(mode=Mode.OBSERVE)}, id="in Observe"),
        pytest.param({"policy": a_policy(evidence=EvidenceRules())}, id="without a pprof port"),
        pytest.param({"powers": Powers(capture=False)}, id="without the power"),
        pytest.param({"policy": a_policy(suspend=True)}, id="while suspended"),
    ],
)
def test_nothing_is_captured(changes: dict[str, object]) -> None:
    assert decide(a_leaking_situation(**changes)).action is not Action.CAPTURE


def test_suspect_above_critical_is_remediated_where_the_policy_says_so() -> None:
    rules = RemediationRules(suspect_above_critical=SuspectAboveCritical.REMEDIATE)
    situation = a_leaking_situation(
        policy=a_policy(remediation=rules),
        judgement=a_judgement(verdict=Verdict.SUSPECT, **ABOVE),
        captured=Captured.LATE,
    )

    decision = decide(situation)

    assert (decision.action, decision.reason) == (Action.REMEDIATE, Reason.ABOVE_CRITICAL)


BY_HAND = Request(kind=RequestKind.RESTART, at=NOW, who="jane", why="before the sale")


@pytest.mark.parametrize(
    ("verdict", "memory", "reason"),
    [
        (Verdict.HEALTHY, FAR, Reason.REQUESTED),
        (Verdict.LEAKING, FAR, Reason.REQUESTED),
        (Verdict.SUSPECT, NEAR, Reason.REQUESTED),
        (Verdict.LEAKING, NEAR, Reason.THRESHOLD_NEAR),
    ],
)
def test_restart_by_hand_is_wanted_now_after_late_profiles(
    verdict: Verdict, memory: dict[str, object], reason: Reason
) -> None:
    judgement = a_judgement(verdict=verdict, **memory)
    asked = a_leaking_situation(judgement=judgement, captured=Captured.EARLY, requests=(BY_HAND,))
    captured = replace(asked, captured=Captured.LATE, kept_heap=True)

    assert decide(asked).action is Action.CAPTURE
    assert (decide(captured).action, decide(captured).reason) == (Action.REMEDIATE, reason)


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({}, Action.CAPTURE, Reason.KEEP_EVIDENCE),
        ({"captured": Captured.LATE}, Action.REMEDIATE, Reason.THRESHOLD_NEAR),
        ({"judgement": a_judgement(verdict=Verdict.HEALTHY)}, Action.NONE, Reason.NOTHING_TO_DO),
    ],
)
def test_decision_says_what_is_seen(changes: dict[str, object], action: Action, reason: Reason) -> None:
    decision = decide(a_leaking_situation(**changes))

    assert (decision.action, decision.reason, decision.message) == (action, reason, "grows 20 MiB/h")


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        pytest.param(
            {"used_bytes": THRESHOLD, "crossing": None}, Reason.THRESHOLD_CROSSED, id="at the very threshold"
        ),
        pytest.param({"crossing": crossing(timedelta(minutes=30))}, Reason.THRESHOLD_NEAR, id="lead begins"),
    ],
)
def test_act_is_due_from_the_very_moment(memory: dict[str, object], reason: Reason) -> None:
    decision = decide(a_leaking_situation(judgement=a_judgement(**memory), captured=Captured.LATE))

    assert (decision.action, decision.reason) == (Action.REMEDIATE, reason)


def test_hold_before_the_lead_names_when_it_begins() -> None:
    situation = a_leaking_situation(judgement=a_judgement(**FAR), captured=Captured.EARLY)

    decision = decide(situation)

    assert decision.retry_at == NOW + timedelta(hours=9) - timedelta(minutes=30)


def test_lead_grows_with_the_measured_duration_and_the_queue() -> None:
    situation = a_leaking_situation(
        judgement=a_judgement(used_bytes=300 * MIB, crossing=crossing(timedelta(minutes=50))),
        captured=Captured.LATE,
        remediation_duration=timedelta(minutes=20),
        fleet=Fleet(under_way=(an_act("a"), an_act("b"))),
        limits=Limits(concurrent=3, concurrent_in_namespace=3),
    )

    assert situation.lead == timedelta(minutes=60)
    assert decide(situation).action is Action.REMEDIATE


# NOW is Monday noon; the threshold is crossed on Tuesday at about 21:00.
AT_NOON = Window(days=(Day.MON,), start=time(11), end=time(13), time_zone=ZoneInfo("UTC"))
NEXT_NOON = Window(days=(Day.TUE,), start=time(11), end=time(13), time_zone=ZoneInfo("UTC"))
WHEN_DUE = Window(days=(Day.TUE,), start=time(20, 30), end=time(22), time_zone=ZoneInfo("UTC"))
TOO_LATE = Window(days=(Day.WED,), start=time(11), end=time(13), time_zone=ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("windows", "action"),
    [
        pytest.param((AT_NOON,), Action.REMEDIATE, id="this is the last window before the crossing"),
        pytest.param((AT_NOON, NEXT_NOON), Action.HOLD, id="there is a later window in time"),
        pytest.param((AT_NOON, WHEN_DUE), Action.HOLD, id="a later window opens just in time"),
        pytest.param((TOO_LATE,), Action.HOLD, id="none is open, and the next comes too late"),
    ],
)
def test_windows_move_the_act_to_the_last_one_in_time(windows: tuple[Window, ...], action: Action) -> None:
    situation = a_leaking_situation(
        policy=a_policy(remediation=RemediationRules(maintenance_windows=windows)),
        judgement=a_judgement(used_bytes=200 * MIB, crossing=crossing(timedelta(hours=33))),
        captured=Captured.LATE,
    )

    decision = decide(situation)

    assert decision.action is action
    assert action is Action.REMEDIATE or decision.reason is HoldReason.NOT_YET_NEEDED


YOUNG = {"firm": False, "critical_earliest": NOW + timedelta(hours=3)}
DUE = {"firm": False, "critical_earliest": NOW + timedelta(minutes=30)}


@pytest.mark.parametrize("memory", [pytest.param(NEAR, id="near"), pytest.param(CROSSED, id="crossed")])
def test_young_growth_waits_until_the_critical_line_is_near(memory: dict[str, object]) -> None:
    waits = a_leaking_situation(judgement=a_judgement(**memory, **YOUNG), captured=Captured.LATE)

    held = decide(waits)

    assert (held.action, held.reason) == (Action.HOLD, HoldReason.NOT_YET_NEEDED)
    assert held.retry_at == NOW + timedelta(hours=2, minutes=30)
    line = "the growth may still stop; the critical line is reached 2026-03-02 15:00Z at the earliest"
    assert held.message == line


@pytest.mark.parametrize(
    ("memory", "reason", "critical_in", "action"),
    [
        pytest.param(CROSSED, "SteadyGrowth", 30, Action.REMEDIATE, id="crossed"),
        pytest.param(NEAR, "SteadyGrowth", 30, Action.HOLD, id="not crossed"),
        pytest.param(NEAR, "GrowsDayOverDay", 30, Action.REMEDIATE, id="in a trough of its day"),
        pytest.param(NEAR, "GrowsDayOverDay", 31, Action.HOLD, id="in a trough, not due"),
    ],
)
def test_young_growth_is_remediated_when_the_critical_line_is_near(
    memory: dict[str, object], reason: str, critical_in: int, action: Action
) -> None:
    soft = {"firm": False, "critical_earliest": NOW + timedelta(minutes=critical_in)}
    judgement = a_judgement(reason=AssessmentReason(reason), **memory, **soft)

    assert decide(a_leaking_situation(judgement=judgement, captured=Captured.LATE)).action is action


def test_growth_in_a_trough_of_its_day_does_not_use_the_last_window_before_it_is_due() -> None:
    soft = {"firm": False, "critical_earliest": NOW + timedelta(hours=30)}
    judgement = a_judgement(reason=AssessmentReason.GROWS_DAY_OVER_DAY, **NEAR, **soft)
    policy = a_policy(remediation=RemediationRules(maintenance_windows=(AT_NOON,)))

    held = decide(a_leaking_situation(judgement=judgement, captured=Captured.LATE, policy=policy))

    assert held.reason is HoldReason.NOT_YET_NEEDED


@pytest.mark.parametrize("memory", [pytest.param(NEAR, id="near"), pytest.param(CROSSED, id="crossed")])
def test_young_growth_that_came_back_is_remediated_before_the_threshold(memory: dict[str, object]) -> None:
    assert decide(_again("app", memory)).action is Action.REMEDIATE


def _again(leaked_before: str, memory: dict[str, object]) -> Situation:
    history = RemediationHistory(
        remediated_at=(NOW - timedelta(hours=12),), leaked_before=frozenset({leaked_before})
    )
    judgement = a_judgement(**memory, **YOUNG)
    return a_leaking_situation(judgement=judgement, captured=Captured.LATE, history=history)


@pytest.mark.parametrize("memory", [pytest.param(NEAR, id="near"), pytest.param(CROSSED, id="crossed")])
def test_young_growth_after_the_leak_of_another_container_waits(memory: dict[str, object]) -> None:
    assert decide(_again("sidecar", memory)).reason is HoldReason.NOT_YET_NEEDED


def test_suspect_of_a_workload_that_leaked_before_is_not_remediated() -> None:
    history = RemediationHistory(leaked_before=frozenset({"app"}))
    suspect = a_judgement(verdict=Verdict.SUSPECT, **CROSSED, **YOUNG)

    decision = decide(a_leaking_situation(judgement=suspect, captured=Captured.LATE, history=history))

    assert decision.reason is Reason.MEMORY_HIGH_CAUSE_UNCLEAR


def test_young_growth_above_the_critical_line_is_remediated() -> None:
    situation = a_leaking_situation(judgement=a_judgement(**ABOVE, firm=False), captured=Captured.LATE)

    assert decide(situation).reason is Reason.ABOVE_CRITICAL


def test_waiting_young_growth_at_the_threshold_has_its_late_profiles() -> None:
    situation = a_leaking_situation(judgement=a_judgement(**CROSSED, **YOUNG), captured=Captured.EARLY)

    assert decide(situation).action is Action.CAPTURE


def _doubted(leaked_ago: timedelta | None, reason: AssessmentReason, **memory: object) -> Decision:
    judgement = a_judgement(
        verdict=Verdict.SUSPECT, reason=reason, started_at=NOW - timedelta(hours=20), **memory
    )
    leaked_at = None if leaked_ago is None else NOW - leaked_ago
    return decide(a_leaking_situation(judgement=judgement, leaked_at=leaked_at, captured=Captured.LATE))


@pytest.mark.parametrize(
    ("leaked_ago", "reason", "memory", "action"),
    [
        pytest.param(
            timedelta(hours=5), "CouldBeBounded", CROSSED | DUE, Action.REMEDIATE, id="doubted since"
        ),
        pytest.param(timedelta(hours=5), "CouldBeBounded", ABOVE | YOUNG, Action.REMEDIATE, id="critical"),
        pytest.param(
            timedelta(hours=20), "CouldBeBounded", CROSSED | DUE, Action.REMEDIATE, id="as soon as it ran"
        ),
        pytest.param(timedelta(hours=5), "CouldBeBounded", CROSSED | YOUNG, Action.NONE, id="not due"),
        pytest.param(timedelta(hours=5), "CouldBeBounded", NEAR | DUE, Action.NONE, id="not crossed"),
        pytest.param(timedelta(hours=21), "CouldBeBounded", CROSSED | DUE, Action.NONE, id="an earlier run"),
        pytest.param(None, "CouldBeBounded", CROSSED | DUE, Action.NONE, id="never told"),
        pytest.param(timedelta(hours=5), "FollowsLoad", CROSSED | DUE, Action.NONE, id="explained since"),
    ],
)
def test_what_was_found_to_leak_is_acted_on_although_its_shape_became_doubtful(
    leaked_ago: timedelta | None, reason: str, memory: dict[str, object], action: Action
) -> None:
    assert _doubted(leaked_ago, AssessmentReason(reason), **memory).action is action


def test_what_was_found_to_leak_before_says_which_line_it_is_acted_on_for() -> None:
    ago, doubt = timedelta(hours=5), AssessmentReason.COULD_BE_BOUNDED

    assert _doubted(ago, doubt, **(CROSSED | DUE)).reason is Reason.THRESHOLD_CROSSED
    assert _doubted(ago, doubt, **(ABOVE | YOUNG)).reason is Reason.ABOVE_CRITICAL
