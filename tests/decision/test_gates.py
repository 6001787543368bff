from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.decision.approval import Approval
from controller.decision.decide import decide
from controller.decision.gates import GATES
from controller.decision.history import RemediationHistory
from controller.decision.outcome import Action, HoldReason
from controller.decision.situation import (
    Alerts,
    Captured,
    Fleet,
    Limits,
    Outbreak,
    Powers,
    Situation,
    VoidedOrder,
)
from controller.detection.assessment import GrowthClass, Verdict
from controller.detection.judgement import judge
from controller.inventory.request import Request, RequestKind
from controller.inventory.workload import Autoscaler, DisruptionBudget, Replica, RolloutState, Workload
from controller.policy.memory_policy import (
    ApprovalRule,
    Budget,
    Day,
    EvidenceRules,
    Mode,
    RemediationRules,
    Strategy,
    Window,
)
from tests.fakes import (
    MIB,
    NOW,
    a_judgement,
    a_leaking_situation,
    a_policy,
    a_replica,
    a_workload,
    an_act,
    an_assessment,
)

# NOW is a Monday, 12:00 UTC.
AT_NIGHT = Window(days=tuple(Day), start=time(2), end=time(5), time_zone=ZoneInfo("UTC"))
AT_NOON = Window(days=(Day.MON,), start=time(11), end=time(13), time_zone=ZoneInfo("UTC"))

AT_MAXIMUM = Autoscaler(name="api", maximum=9, wants_more=True, on_memory=False)


def a_captured_situation(**changes: object) -> Situation:
    return a_leaking_situation(captured=Captured.LATE, kept_heap=True, **changes)


def ready(**changes: object) -> Situation:
    return a_captured_situation(workload=a_workload(**changes))


def ruled(**changes: object) -> Situation:
    return a_captured_situation(policy=a_policy(remediation=RemediationRules(**changes)))


def remediated(*hours_ago: float) -> RemediationHistory:
    return RemediationHistory(remediated_at=tuple(NOW - timedelta(hours=ago) for ago in hours_ago))


def refused(minutes_ago: float, times: int = 1) -> Situation:
    at = NOW - timedelta(minutes=minutes_ago)
    return a_captured_situation(voided=VoidedOrder(at=at, because="denied", times=times))


def hours(*spans: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(hours=span) for span in spans)


def minutes_ago(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW - timedelta(minutes=ago) for ago in minutes)


def an_outbreak(judged: int, *found_minutes_ago: float) -> Outbreak:
    return Outbreak(among="all policies", judged=judged, detected_at=minutes_ago(*found_minutes_ago))


def on_nodes(*nodes: str) -> Workload:
    replicas = tuple(a_replica(f"api-{number}", node=node) for number, node in enumerate(nodes, start=1))
    return a_workload(replicas=replicas)


def limited(name: str, limit_bytes: int) -> Replica:
    container = replace(a_replica().containers[0], memory_limit_bytes=limit_bytes)
    return a_replica(name, containers=(container,))


def with_budget(*, other: str, namespace: str = "shop") -> Situation:
    """Under the budget `api`, beside a remediation under the budget `other`."""
    return a_captured_situation(
        workload=a_workload(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=1),)),
        fleet=Fleet(under_way=(an_act(namespace=namespace, disruption_budgets=frozenset({other})),)),
        limits=Limits(concurrent=2, concurrent_in_namespace=2),
    )


def one_replica(**changes: object) -> Situation:
    """A workload of a single replica, to be restarted by `changes`, the policy's rules."""
    return replace(
        ruled(**changes), workload=a_workload(desired_replicas=1, ready_replicas=1, replicas=(a_replica(),))
    )


def replacing_one_of_three(protected: str, until: datetime) -> Situation:
    """Only `api-1` leaks and is to be replaced alone; one of the three is protected from stopping."""
    names = ("api-1", "api-2", "api-3")
    replicas = tuple(a_replica(name, protected_until=until if name == protected else None) for name in names)
    workload = a_workload(replicas=replicas, desired_replicas=3, ready_replicas=3)
    healthy = {"verdict": Verdict.HEALTHY, "used_bytes": 61 * MIB}
    judgement = judge(
        workload, [an_assessment(name, **({} if name == "api-1" else healthy)) for name in names]
    )
    return a_captured_situation(workload=workload, judgement=judgement)


def pulled_as(image: str) -> Replica:
    return a_replica(containers=(replace(a_replica().containers[0], always_pulls=True, image=image),))


def approved(**changes: object) -> Situation:
    """A policy that asks for approval, and one by ann for exactly this situation."""
    situation = replace(ruled(approval=ApprovalRule.REQUIRED), incident="api-1")
    given = Approval(by="ann", situation=situation.digest, until=NOW + timedelta(hours=1))
    return replace(situation, approval=replace(given, **changes))


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
        a_captured_situation(judgement=a_judgement(limit_bytes=500 * MIB)),
        HoldReason.METRICS_IMPLAUSIBLE,
        id="metrics and pod name different limits",
    ),
    pytest.param(
        a_captured_situation(judgement=a_judgement(used_bytes=540 * MIB)),
        HoldReason.METRICS_IMPLAUSIBLE,
        id="more in use than the limit",
    ),
    pytest.param(a_captured_situation(limits=Limits(looks=2)), HoldReason.UNCONFIRMED, id="the first look"),
    pytest.param(
        a_captured_situation(
            overtaken_because="policy api was changed",
            requests=(Request(kind=RequestKind.RESTART, at=NOW, who="jane", why=""),),
        ),
        HoldReason.UNCONFIRMED,
        id="changed meanwhile, whoever asks",
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
        a_captured_situation(judgement=a_judgement(young_floor_bytes=360 * MIB, threshold_bytes=400 * MIB)),
        HoldReason.BASELINE_ABOVE_THRESHOLD,
        id="young floor at exactly nine tenths of the threshold",
    ),
    pytest.param(
        a_captured_situation(history=RemediationHistory(times_to_threshold=hours(100, 45))),
        HoldReason.RESTART_INEFFECTIVE,
        id="memory came back in less than half the time, twice",
    ),
    pytest.param(
        a_captured_situation(history=RemediationHistory(times_to_threshold=hours(300, 200, 100, 45))),
        HoldReason.RESTART_INEFFECTIVE,
        id="of many runs the last three are told",
    ),
    pytest.param(
        a_captured_situation(history=RemediationHistory(escalated_because=HoldReason.RESTART_INEFFECTIVE)),
        HoldReason.RESTART_INEFFECTIVE,
        id="memory came back too soon, and nobody has acknowledged it",
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
        ready(unread=("resourcequotas",)), HoldReason.INPUTS_UNREADABLE, id="quotas may not be listed"
    ),
    pytest.param(
        ready(quota_refusal="ResourceQuota q has 0 of pods left"),
        HoldReason.QUOTA_EXHAUSTED,
        id="quota spent",
    ),
    pytest.param(
        ready(quota_refusal="LimitRange l: too much", replaces_before_stopping=False),
        HoldReason.QUOTA_EXHAUSTED,
        id="a range refuses every new pod",
    ),
    pytest.param(
        ready(node_refusal="node n reports MemoryPressure"),
        HoldReason.NODE_PRESSURE,
        id="node under pressure",
    ),
    pytest.param(
        ready(surge_refusal="volume claim c can be mounted on one node only"),
        HoldReason.SURGE_IMPOSSIBLE,
        id="a volume that only one replica can have",
    ),
    pytest.param(
        ready(autoscaler=AT_MAXIMUM, unavailable_at_most=1),
        HoldReason.AUTOSCALER_AT_MAXIMUM,
        id="autoscaler at its maximum",
    ),
    pytest.param(
        ready(replicas=(a_replica(protected_until=NOW + timedelta(hours=1)), a_replica("api-2"))),
        HoldReason.TASK_PROTECTED,
        id="a task is protected",
    ),
    pytest.param(
        replacing_one_of_three("api-1", NOW + timedelta(hours=1)),
        HoldReason.TASK_PROTECTED,
        id="the one that is to be replaced is protected",
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
        ready(overlapping_budgets=("all", "api")),
        HoldReason.DISRUPTION_BUDGETS_OVERLAP,
        id="two budgets on one pod",
    ),
    pytest.param(
        with_budget(other="api"),
        HoldReason.DISRUPTION_BUDGET_SHARED,
        id="a workload under the same budget is being restarted",
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
        ready(
            template_revision="r2",
            replicas=(a_replica(), a_replica("api-2", revision="r2", created_at=NOW - timedelta(minutes=29))),
        ),
        HoldReason.RECENT_DEPLOY,
        id="the newest template is one minute too young",
    ),
    pytest.param(
        a_captured_situation(history=remediated(5.9)), HoldReason.COOLING_DOWN, id="within the cooldown"
    ),
    pytest.param(refused(0.9), HoldReason.RETRY_LATER, id="just refused"),
    pytest.param(refused(1.9, times=2), HoldReason.RETRY_LATER, id="refused twice"),
    pytest.param(refused(59.9, times=5000), HoldReason.RETRY_LATER, id="refused again and again"),
    pytest.param(
        a_captured_situation(history=remediated(23, 15, 7)), HoldReason.BUDGET_SPENT, id="three in a day"
    ),
    pytest.param(
        a_captured_situation(history=RemediationHistory(escalated_because=HoldReason.BUDGET_SPENT)),
        HoldReason.BUDGET_SPENT,
        id="the budget was spent, and nobody has acknowledged it",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(alerts=Alerts(firing=("HighErrorRate",)))),
        HoldReason.ALERT_FIRING,
        id="a blocking alert fires",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(alerts=Alerts(firing=("HighErrorRate", "HighLatency")))),
        HoldReason.ALERT_FIRING,
        id="two blocking alerts fire",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(alerts=Alerts(unknown_because="nobody answers"))),
        HoldReason.ALERTS_UNKNOWN,
        id="whether a blocking alert fires is not known",
    ),
    pytest.param(ruled(blackouts=(AT_NOON,)), HoldReason.BLACKOUT, id="during a blackout"),
    pytest.param(
        ruled(maintenance_windows=(AT_NIGHT,)),
        HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        id="outside the window",
    ),
    pytest.param(
        replace(ruled(maintenance_windows=(AT_NIGHT,)), judgement=a_judgement(used_bytes=450 * MIB)),
        HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        id="above critical, and nobody lets that override the window",
    ),
    pytest.param(
        ruled(maintenance_windows=(AT_NIGHT,), critical_overrides_windows=True),
        HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        id="critical may override the window, and is not reached",
    ),
    pytest.param(
        a_captured_situation(
            policy=a_policy(remediation=RemediationRules(maintenance_windows=(AT_NOON,))),
            remediation_duration=timedelta(minutes=51),
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
        a_captured_situation(fleet=Fleet(under_way=(an_act(namespace="bank"),))),
        HoldReason.TOO_MANY_AT_ONCE,
        id="another restart under way",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(under_way=(an_act(),)), limits=Limits(concurrent=2)),
        HoldReason.NAMESPACE_BUSY,
        id="another restart under way in the namespace",
    ),
    pytest.param(
        a_captured_situation(
            workload=on_nodes("n1", "n2"),
            fleet=Fleet(under_way=(an_act(nodes=frozenset({"n2", "n3"})),)),
            limits=Limits(concurrent=2, concurrent_in_namespace=2),
        ),
        HoldReason.NODE_BUSY,
        id="another restart under way on a node",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(remediated_at=minutes_ago(59, 50, 40, 30, 20, 10))),
        HoldReason.TOO_MANY_PER_HOUR,
        id="six restarts of any workloads within the hour",
    ),
    pytest.param(
        a_captured_situation(fleet=Fleet(outbreaks=(an_outbreak(10, 59, 40, 30, 20, 0),))),
        HoldReason.LEAK_STORM,
        id="half of the workloads were found to leak within the hour",
    ),
    pytest.param(
        a_captured_situation(
            fleet=Fleet(outbreaks=(an_outbreak(100, 5), an_outbreak(10, 59, 40, 30, 20, 0)))
        ),
        HoldReason.LEAK_STORM,
        id="a storm in the second of two groups",
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
        ruled(approval=ApprovalRule.REQUIRED), HoldReason.APPROVAL_REQUIRED, id="nobody has approved"
    ),
    pytest.param(
        approved(situation="another"), HoldReason.APPROVAL_VOID, id="approved for another situation"
    ),
    pytest.param(approved(until=NOW), HoldReason.APPROVAL_VOID, id="the approval has ended"),
    pytest.param(approved(until=None), HoldReason.APPROVAL_VOID, id="approved until no time"),
    pytest.param(
        approved(until=NOW + timedelta(hours=24, seconds=1)),
        HoldReason.APPROVAL_VOID,
        id="approved for too long",
    ),
    pytest.param(
        a_captured_situation(powers=Powers(remediate=False)),
        HoldReason.POWER_WITHHELD,
        id="installed without the power",
    ),
    pytest.param(
        a_captured_situation(workload=a_workload(access_refusal="may look as that role but not act")),
        HoldReason.ROLE_NOT_ALLOWED,
        id="role may look and not act",
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
    refusing = {gate for parameters in REFUSALS for gate in GATES if gate(parameters.values[0])}
    assert refusing == set(GATES)


def test_without_any_refusal_it_is_remediated() -> None:
    assert decide(a_captured_situation()).action is Action.REMEDIATE


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(a_captured_situation(history=remediated(6)), id="exactly at the end of the cooldown"),
        pytest.param(refused(1), id="the pause after a refusal is over"),
        pytest.param(refused(2, times=2), id="the pause after two refusals is over"),
        pytest.param(refused(60, times=5000), id="the longest pause is over"),
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
        pytest.param(
            ready(
                quota_refusal="ResourceQuota q has 0 of pods left",
                surge_refusal="volume claim c can be mounted on one node only",
                replaces_before_stopping=False,
            ),
            id="no new replica before an old one has gone, so no room is needed",
        ),
        pytest.param(
            ready(autoscaler=replace(AT_MAXIMUM, on_memory=True), unavailable_at_most=1),
            id="an autoscaler that counts the leak itself",
        ),
        pytest.param(ready(autoscaler=AT_MAXIMUM), id="an autoscaler at its maximum, and a restart by surge"),
        pytest.param(
            ready(autoscaler=replace(AT_MAXIMUM, wants_more=False), unavailable_at_most=1),
            id="an autoscaler that wants no more",
        ),
        pytest.param(ruled(maintenance_windows=(AT_NOON,)), id="within the window"),
        pytest.param(
            replace(ruled(maintenance_windows=(AT_NOON,)), remediation_duration=timedelta(minutes=50)),
            id="exactly enough of the window is left",
        ),
        pytest.param(
            a_captured_situation(now=NOW + timedelta(minutes=5)), id="a judgement exactly five minutes old"
        ),
        pytest.param(
            a_captured_situation(
                judgement=a_judgement(limit_bytes=505 * MIB),
                workload=a_workload(replicas=(limited("api-1", 500 * MIB), limited("api-2", 500 * MIB))),
            ),
            id="limits that differ by exactly one in a hundred",
        ),
        pytest.param(
            a_captured_situation(
                judgement=a_judgement(used_bytes=525 * MIB, limit_bytes=500 * MIB),
                workload=a_workload(replicas=(limited("api-1", 500 * MIB), limited("api-2", 500 * MIB))),
            ),
            id="exactly as much over the limit as two samples may differ",
        ),
        pytest.param(
            ready(replicas=(a_replica("api-1"), limited("api-2", 256 * MIB))),
            id="another replica has another limit",
        ),
        pytest.param(
            a_captured_situation(judgement=a_judgement(young_floor_bytes=None)),
            id="nobody knows what it held soon after its start",
        ),
        pytest.param(
            a_captured_situation(judgement=a_judgement(threshold_bytes=None)),
            id="no threshold to compare with",
        ),
        pytest.param(
            replacing_one_of_three("api-2", NOW + timedelta(hours=1)),
            id="one that stays is protected from stopping",
        ),
        pytest.param(
            ready(replicas=(a_replica(protected_until=NOW), a_replica("api-2"))),
            id="the protection has ended",
        ),
        pytest.param(one_replica(), id="the only replica, and a surge"),
        pytest.param(
            one_replica(strategy=Strategy.REPLACE), id="the only replica goes when its replacement is ready"
        ),
        pytest.param(with_budget(other="cart"), id="a workload under another budget is being restarted"),
        pytest.param(
            ready(
                template_revision="r2",
                replicas=(
                    a_replica(),
                    a_replica("api-2", revision="r2", created_at=NOW - timedelta(minutes=30)),
                ),
            ),
            id="the newest template is exactly old enough",
        ),
        pytest.param(
            a_captured_situation(fleet=Fleet(outbreaks=(an_outbreak(10, 60, 40, 30, 20, 10),))),
            id="the first of five leaks was found exactly an hour ago",
        ),
        pytest.param(ruled(allow_image_drift=True), id="drift allowed"),
        pytest.param(
            ready(replicas=(pulled_as("registry.example/api@sha256:" + "a" * 64), a_replica("api-2"))),
            id="pulled at every start, and pinned by its digest",
        ),
        pytest.param(approved(), id="approved"),
        pytest.param(approved(until=NOW + timedelta(hours=24)), id="approved for as long as may be"),
        pytest.param(
            a_captured_situation(approval=Approval(by="ann", situation="x", until=None)),
            id="an approval nobody asked for",
        ),
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
                workload=on_nodes("n1", "n2"),
                fleet=Fleet(under_way=(an_act(nodes=frozenset({"n3"})),)),
                limits=Limits(concurrent=2, concurrent_in_namespace=2),
            ),
            id="a second slot is free, on other nodes",
        ),
        pytest.param(
            a_captured_situation(
                fleet=Fleet(under_way=(an_act(namespace="bank"),)), limits=Limits(concurrent=2)
            ),
            id="a second slot is free, in another namespace",
        ),
        pytest.param(
            a_captured_situation(fleet=Fleet(remediated_at=minutes_ago(60, 50, 40, 30, 20, 10))),
            id="the oldest of six restarts is an hour ago",
        ),
        pytest.param(
            a_captured_situation(fleet=Fleet(outbreaks=(an_outbreak(10, 40, 30, 20, 10),))),
            id="four leaks are no storm, however few workloads there are",
        ),
        pytest.param(
            a_captured_situation(fleet=Fleet(outbreaks=(an_outbreak(20, 50, 40, 30, 20, 10, 5),))),
            id="exactly the share that is no storm yet",
        ),
        pytest.param(
            a_captured_situation(fleet=Fleet(outbreaks=(an_outbreak(10, 60, 120, 180, 240, 0),))),
            id="half of the workloads leak, found one after the other",
        ),
        pytest.param(
            a_captured_situation(looks=2, limits=Limits(looks=2)), id="wanted in two sweeps, as asked for"
        ),
        pytest.param(
            a_captured_situation(history=RemediationHistory(times_to_threshold=hours(50, 30, 41))),
            id="one run was short, the next was not",
        ),
        pytest.param(
            a_captured_situation(history=RemediationHistory(times_to_threshold=hours(50))),
            id="one short run",
        ),
        pytest.param(
            a_captured_situation(judgement=a_judgement(limit_bytes=510 * MIB)),
            id="limits that differ by a rounding",
        ),
        pytest.param(
            ready(replicas=(a_replica(revision="r1"), a_replica("api-2")), template_revision="r1"),
            id="deployed long ago",
        ),
        pytest.param(
            ready(
                disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=1),),
            ),
            id="the budget allows one",
        ),
        pytest.param(
            with_budget(other="api", namespace="bank"), id="a budget of the same name in another namespace"
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


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"workload": a_workload(generation=4)}, id="the workload was changed"),
        pytest.param({"workload": a_workload(template_revision="r9")}, id="another version runs"),
        pytest.param({"workload": a_workload(uid="another")}, id="it was made anew"),
        pytest.param({"judgement": a_judgement(growth_class=GrowthClass.NATIVE)}, id="something else grows"),
        pytest.param({"incident": "api-2"}, id="another incident"),
    ],
)
def test_approval_is_void_when_the_situation_has_changed(changed: dict[str, object]) -> None:
    decision = decide(replace(approved(), **changed))

    assert decision.reason is HoldReason.APPROVAL_VOID
    assert "by ann is void" in decision.message


def test_approval_outlives_numbers_that_move() -> None:
    later = a_judgement(used_bytes=351 * MIB, message="grows 21 MiB/h")

    assert decide(replace(approved(), judgement=later)).action is Action.REMEDIATE


def test_hold_for_approval_says_what_to_paste() -> None:
    situation = replace(ruled(approval=ApprovalRule.REQUIRED), incident="api-1")

    message = decide(situation).message

    assert "kubectl -n shop annotate --overwrite memi api-1" in message
    assert f"bilgepump.dev/approved={situation.digest}" in message


def test_everything_that_is_in_the_way_is_named() -> None:
    under_way = (an_act("Deployment shop/cart"), an_act("Deployment shop/mail"))
    unread = decide(ready(unread=("nodes", "resourcequotas"))).message
    busy = decide(a_captured_situation(fleet=Fleet(under_way=under_way))).message

    assert "nodes, resourcequotas" in unread
    assert busy == "under way already: Deployment shop/cart, Deployment shop/mail"


def test_spent_budget_does_not_come_back_by_itself() -> None:
    budget = Budget(remediations=2, period=timedelta(hours=24))
    policy = a_policy(remediation=RemediationRules(budget=budget))

    decision = decide(a_captured_situation(policy=policy, history=remediated(20, 7)))

    assert decision.reason is HoldReason.BUDGET_SPENT
    assert decision.retry_at is None


def test_what_a_person_acknowledged_no_longer_counts_towards_the_budget() -> None:
    history = replace(remediated(23, 15, 7), counted_from=NOW - timedelta(hours=16))

    assert decide(a_captured_situation(history=history)).action is Action.REMEDIATE


def test_storm_is_over_when_enough_of_it_is_an_hour_ago() -> None:
    fleet = Fleet(outbreaks=(an_outbreak(10, 50, 40, 30, 20, 10, 0),))

    decision = decide(a_captured_situation(fleet=fleet))

    assert decision.reason is HoldReason.LEAK_STORM
    assert decision.retry_at == NOW + timedelta(minutes=20)


def test_hourly_limit_names_when_the_oldest_is_an_hour_ago() -> None:
    fleet = Fleet(remediated_at=minutes_ago(50, 40, 30, 20, 10, 5, 1))

    assert decide(a_captured_situation(fleet=fleet)).retry_at == NOW + timedelta(minutes=20)
