from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.decision.decide import decide
from controller.decision.gates import GATES
from controller.decision.history import RemediationHistory
from controller.decision.outcome import Action, HoldReason
from controller.decision.situation import Captured, Fleet, Powers, Situation
from controller.detection.assessment import GrowthClass
from controller.inventory.workload import DisruptionBudget, RolloutState
from controller.policy.memory_policy import (
    Budget,
    Day,
    EvidenceRules,
    Mode,
    RemediationRules,
    Window,
)
from tests.fakes import MIB, NOW, a_judgement, a_leaking_situation, a_policy, a_replica, a_workload

# NOW is a Monday, 12:00 UTC.
AT_NIGHT = Window(days=tuple(Day), start=time(2), end=time(5), time_zone=ZoneInfo("UTC"))
AT_NOON = Window(days=(Day.MON,), start=time(11), end=time(13), time_zone=ZoneInfo("UTC"))


def a_captured_situation(**changes: object) -> Situation:
    return a_leaking_situation(captured=Captured.LATE, kept_heap=True, **changes)


def ready(**changes: object) -> Situation:
    return a_captured_situation(workload=a_workload(**changes))


def ruled(**changes: object) -> Situation:
    return a_captured_situation(policy=a_policy(remediation=RemediationRules(**changes)))


def remediated(*hours_ago: float) -> RemediationHistory:
    return RemediationHistory(remediated_at=tuple(NOW - timedelta(hours=ago) for ago in hours_ago))


REFUSALS = [
    pytest.param(
        a_captured_situation(powers=Powers(suspended_because="maintenance")),
        HoldReason.CONTROLLER_SUSPENDED,
        id="controller suspended",
    ),
    pytest.param(
        a_captured_situation(policy=a_policy(suspend=True)),
        HoldReason.POLICY_SUSPENDED,
        id="policy suspended",
    ),
    pytest.param(ready(protected_because="kube-system"), HoldReason.PROTECTED, id="never acted on"),
    pytest.param(ready(paused_by="ann: load test"), HoldReason.WORKLOAD_PAUSED, id="workload paused"),
    pytest.param(
        a_captured_situation(conflicting_policies=("shop/other",)),
        HoldReason.POLICY_CONFLICT,
        id="two policies claim it",
    ),
    pytest.param(
        a_captured_situation(now=NOW + timedelta(minutes=6)),
        HoldReason.METRICS_STALE,
        id="judgement six minutes old",
    ),
    pytest.param(
        a_captured_situation(judgement=a_judgement(growth_class=GrowthClass.PAGE_CACHE)),
        HoldReason.RESTART_CANNOT_FREE,
        id="page cache grows",
    ),
    pytest.param(
        a_captured_situation(judgement=a_judgement(young_floor_bytes=330 * MIB)),
        HoldReason.BASELINE_ABOVE_THRESHOLD,
        id="young floor near the threshold",
    ),
    pytest.param(
        a_captured_situation(history=RemediationHistory(unacknowledged="api-old")),
        HoldReason.AWAITING_ACKNOWLEDGEMENT,
        id="an earlier incident failed",
    ),
    pytest.param(ready(rollout=RolloutState.PAUSED), HoldReason.ROLLOUT_PAUSED, id="rollout paused"),
    pytest.param(
        ready(rollout=RolloutState.PROGRESSING), HoldReason.ROLLOUT_IN_PROGRESS, id="rollout under way"
    ),
    pytest.param(ready(rollout=RolloutState.FAILED), HoldReason.ROLLOUT_FAILED, id="rollout stuck"),
    pytest.param(ready(restart_refusal="OnDelete"), HoldReason.RESTART_UNSUPPORTED, id="OnDelete"),
    pytest.param(ready(throttled=True), HoldReason.PLATFORM_THROTTLED, id="calls are throttled"),
    pytest.param(
        ready(capacity_refusal="unable to place a task"), HoldReason.CAPACITY_MISSING, id="no room for a task"
    ),
    pytest.param(
        ready(replicas=(a_replica(protected_until=NOW + timedelta(hours=1)), a_replica("api-2"))),
        HoldReason.TASK_PROTECTED,
        id="a task is protected",
    ),
    pytest.param(ready(ready_replicas=1), HoldReason.REPLICAS_NOT_READY, id="one replica missing"),
    pytest.param(
        ready(desired_replicas=0, ready_replicas=0), HoldReason.REPLICAS_NOT_READY, id="scaled to nothing"
    ),
    pytest.param(
        ready(desired_replicas=1, ready_replicas=1, replaces_before_stopping=False),
        HoldReason.NO_SPARE_REPLICA,
        id="the only replica would go first",
    ),
    pytest.param(
        ready(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=0),)),
        HoldReason.DISRUPTION_BUDGET_EXHAUSTED,
        id="budget allows nothing",
    ),
    pytest.param(
        ready(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=1, current=False),)),
        HoldReason.DISRUPTION_BUDGET_EXHAUSTED,
        id="budget's status lags behind",
    ),
    pytest.param(
        a_captured_situation(judgement=a_judgement(started_at=NOW - timedelta(minutes=29))),
        HoldReason.TOO_YOUNG,
        id="one minute too young",
    ),
    pytest.param(
        a_captured_situation(history=remediated(5.9)), HoldReason.COOLING_DOWN, id="within the cooldown"
    ),
    pytest.param(
        a_captured_situation(history=remediated(23, 15, 7)), HoldReason.BUDGET_SPENT, id="three in a day"
    ),
    pytest.param(ruled(blackouts=(AT_NOON,)), HoldReason.BLACKOUT, id="during a blackout"),
    pytest.param(
        ruled(maintenance_windows=(AT_NIGHT,)),
        HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        id="outside the window",
    ),
    pytest.param(
        a_captured_situation(
            policy=a_policy(remediation=RemediationRules(maintenance_windows=(AT_NOON,))),
            remediation_duration=timedelta(minutes=61),
        ),
        HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        id="too little of the window left",
    ),
    pytest.param(
        ready(
            replicas=(
                a_replica(containers=(replace(a_replica().containers[0], always_pulls=True),)),
                a_replica("api-2"),
            )
        ),
        HoldReason.IMAGE_MAY_DRIFT,
        id="mutable tag, pulled at every start",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(remediations_in_progress=("Deployment shop/cart",))),
        HoldReason.TOO_MANY_AT_ONCE,
        id="another restart under way",
    ),
    pytest.param(
        a_leaking_situation(
            captured=Captured.LATE,
            kept_heap=False,
            policy=a_policy(evidence=EvidenceRules(required=True)),
        ),
        HoldReason.EVIDENCE_MISSING,
        id="required evidence missing",
    ),
    pytest.param(
        a_captured_situation(powers=Powers(remediate=False)),
        HoldReason.POWER_WITHHELD,
        id="installed without the power",
    ),
    pytest.param(
        a_captured_situation(policy=a_policy(mode=Mode.CAPTURE)), HoldReason.CAPTURE_ONLY, id="mode Capture"
    ),
    pytest.param(
        a_captured_situation(policy=a_policy(mode=Mode.OBSERVE)), HoldReason.OBSERVE_ONLY, id="mode Observe"
    ),
]


@pytest.mark.parametrize(("situation", "reason"), REFUSALS)
def test_remediation_is_held(situation: Situation, reason: HoldReason) -> None:
    decision = decide(situation)

    assert (decision.action, decision.reason) == (Action.HOLD, reason)
    assert decision.message


def test_every_gate_has_a_refusal_in_the_table() -> None:
    told = {parameters.values[1] for parameters in REFUSALS}

    assert told == set(HoldReason) - {HoldReason.NOT_YET_NEEDED, HoldReason.OUTCOME_UNKNOWN}
    assert len(GATES) == 27


def test_without_any_refusal_it_is_remediated() -> None:
    assert decide(a_captured_situation()).action is Action.REMEDIATE


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(a_captured_situation(history=remediated(6)), id="exactly at the end of the cooldown"),
        pytest.param(
            a_captured_situation(history=remediated(30, 15, 7)), id="the oldest has left the budget"
        ),
        pytest.param(
            a_captured_situation(judgement=a_judgement(started_at=NOW - timedelta(minutes=30))),
            id="exactly old enough",
        ),
        pytest.param(
            a_captured_situation(
                history=RemediationHistory(unacknowledged="api-old"),
                workload=a_workload(acknowledged="api-old"),
            ),
            id="the failed incident is acknowledged",
        ),
        pytest.param(ruled(maintenance_windows=(AT_NOON,)), id="within the window"),
        pytest.param(ruled(allow_image_drift=True), id="drift allowed"),
        pytest.param(
            a_captured_situation(
                policy=a_policy(
                    remediation=RemediationRules(
                        maintenance_windows=(AT_NIGHT,), critical_overrides_windows=True
                    )
                ),
                judgement=a_judgement(used_bytes=450 * MIB),
            ),
            id="above critical overrides the window",
        ),
        pytest.param(
            a_captured_situation(
                fleet=Fleet(remediations_in_progress=("Deployment shop/cart",), concurrent_remediations=2)
            ),
            id="a second slot is free",
        ),
    ],
)
def test_remediation_goes_on(situation: Situation) -> None:
    assert decide(situation).action is Action.REMEDIATE


def test_observe_comes_last_and_names_what_else_would_hold() -> None:
    situation = a_captured_situation(policy=a_policy(mode=Mode.OBSERVE), history=remediated(1))

    decision = decide(situation)

    assert decision.reason is HoldReason.COOLING_DOWN
    assert [hold.reason for hold in decision.holds] == [HoldReason.COOLING_DOWN, HoldReason.OBSERVE_ONLY]


def test_cooldown_names_the_time_it_ends() -> None:
    decision = decide(a_captured_situation(history=remediated(1)))

    assert decision.retry_at == NOW + timedelta(hours=5)


def test_spent_budget_returns_when_the_oldest_leaves_the_period() -> None:
    budget = Budget(remediations=2, period=timedelta(hours=24))
    policy = a_policy(remediation=RemediationRules(budget=budget))

    decision = decide(a_captured_situation(policy=policy, history=remediated(20, 7)))

    assert decision.reason is HoldReason.BUDGET_SPENT
    assert decision.retry_at == NOW + timedelta(hours=4)
