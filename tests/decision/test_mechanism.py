from dataclasses import replace
from typing import Any

import pytest

from controller.decision.mechanism import Mechanism, choose
from controller.decision.situation import Situation
from controller.detection.assessment import Verdict
from controller.detection.judgement import judge
from controller.inventory.request import Request, RequestKind
from controller.inventory.workload import Platform, WorkloadRef
from controller.policy.memory_policy import RemediationRules, Strategy
from tests.fakes import MIB, NOW, a_leaking_situation, a_policy, a_replica, a_workload, an_assessment


def a_situation(
    kind: str = "Deployment",
    *,
    growing: int = 1,
    of: int = 3,
    strategy: Strategy = Strategy.AUTO,
    verdict: Verdict = Verdict.LEAKING,
    grown: int = 80 * MIB,
    **changes: Any,
) -> Situation:
    """The last `growing` of its replicas grew from 60 MiB to 350; the others are healthy, and use `grown`."""
    platform = Platform.ECS if kind == "Service" else Platform.KUBERNETES
    name = "eu-west-1/prod/api" if kind == "Service" else "api"
    replicas = tuple(a_replica(f"api-{index}") for index in range(of))
    workload = a_workload(
        ref=WorkloadRef(platform, "shop", kind, name),
        replicas=replicas,
        desired_replicas=of,
        ready_replicas=of,
        **changes,
    )
    judgement = judge(
        workload,
        [
            an_assessment(one.name, verdict=verdict)
            if index >= of - growing
            else an_assessment(one.name, verdict=Verdict.HEALTHY, used_bytes=grown)
            for index, one in enumerate(replicas)
        ],
    )
    assert judgement is not None
    policy = a_policy(remediation=RemediationRules(strategy=strategy))
    return a_leaking_situation(policy=policy, workload=workload, judgement=judgement)


LEAKING: dict[str, Any] = {"verdict": Verdict.LEAKING, "used_bytes": 350 * MIB}
SUSPECTED: dict[str, Any] = {"verdict": Verdict.SUSPECT, "used_bytes": 350 * MIB}
BIG_FROM_THE_START: dict[str, Any] = {"used_bytes": 300 * MIB, "young_floor_bytes": 290 * MIB}
UNKNOWN_START: dict[str, Any] = {"used_bytes": 300 * MIB, "young_floor_bytes": None}


def judged(replicas: dict[str, dict[str, Any]], strategy: Strategy = Strategy.REPLACE) -> Situation:
    """A Deployment of these replicas: each is healthy, and 61 MiB big, but for what is said of it."""
    workload = a_workload(
        replicas=tuple(a_replica(name) for name in replicas),
        desired_replicas=len(replicas),
        ready_replicas=len(replicas),
    )
    healthy = {"verdict": Verdict.HEALTHY, "used_bytes": 61 * MIB}
    judgement = judge(workload, [an_assessment(name, **(healthy | said)) for name, said in replicas.items()])
    assert judgement is not None
    policy = a_policy(remediation=RemediationRules(strategy=strategy))
    return a_leaking_situation(policy=policy, workload=workload, judgement=judgement)


CASES = [
    pytest.param(
        a_situation(), Mechanism.REPLACE, ("api-2",), "only 1 of 3 replicas grow", id="Deployment, partly"
    ),
    pytest.param(
        a_situation(growing=3), Mechanism.ROLLING_RESTART, (), "3 of 3 replicas grow", id="Deployment, wholly"
    ),
    pytest.param(
        a_situation(growing=1, of=2), Mechanism.ROLLING_RESTART, (), "1 of 2 replicas grow", id="half is most"
    ),
    pytest.param(
        a_situation(grown=210 * MIB),
        Mechanism.ROLLING_RESTART,
        (),
        "3 of 3 replicas grow",
        id="the others have grown alike, though nothing is proven",
    ),
    pytest.param(
        a_situation(replace_refusal="its pods mount a PersistentVolumeClaim"),
        Mechanism.ROLLING_RESTART,
        (),
        "only 1 of 3 replicas grow, but its pods mount a PersistentVolumeClaim",
        id="Deployment, partly, but no pod can stand beside another",
    ),
    pytest.param(
        a_situation("StatefulSet", growing=2, of=5),
        Mechanism.EVICT,
        ("api-4", "api-3"),
        "2 of 5 replicas grow; a StatefulSet's replicas are evicted one ordinal at a time",
        id="StatefulSet, partly: from the highest ordinal down",
    ),
    pytest.param(
        a_situation("StatefulSet", growing=11, of=11),
        Mechanism.EVICT,
        tuple(f"api-{ordinal}" for ordinal in range(10, -1, -1)),
        "11 of 11 replicas grow; a StatefulSet's replicas are evicted one ordinal at a time",
        id="StatefulSet, wholly: all of them, by number and not by text",
    ),
    pytest.param(
        a_situation("StatefulSet", of=1),
        Mechanism.ROLLING_RESTART,
        (),
        "it has one replica",
        id="StatefulSet of one: a gate holds it",
    ),
    pytest.param(
        a_situation("DaemonSet", replaces_before_stopping=False),
        Mechanism.EVICT,
        ("api-2",),
        "only 1 of 3 replicas grow; a rollout would stop one on every node",
        id="DaemonSet, partly",
    ),
    pytest.param(
        a_situation("DaemonSet", replace_refusal="a DaemonSet's pods cannot be released"),
        Mechanism.ROLLING_RESTART,
        (),
        "only 1 of 3 replicas grow, but a DaemonSet's pods cannot be released",
        id="DaemonSet that surges",
    ),
    pytest.param(
        a_situation("Rollout", replaces_before_stopping=False),
        Mechanism.EVICT,
        ("api-2",),
        "only 1 of 3 replicas grow; its restart would evict the others, too",
        id="Argo Rollout, partly",
    ),
    pytest.param(
        a_situation("Rollout", growing=3, replaces_before_stopping=False),
        Mechanism.ROLLING_RESTART,
        (),
        "3 of 3 replicas grow",
        id="Argo Rollout, wholly",
    ),
    pytest.param(
        a_situation("DaemonSet"),
        Mechanism.ROLLING_RESTART,
        (),
        "only 1 of 3 replicas grow, but no other way is as gentle",
        id="DaemonSet that surges, and nothing refuses",
    ),
    pytest.param(
        a_situation("StatefulSet", of=2),
        Mechanism.EVICT,
        ("api-1", "api-0"),
        "1 of 2 replicas grow; a StatefulSet's replicas are evicted one ordinal at a time",
        id="StatefulSet of two",
    ),
    pytest.param(
        a_situation(growing=3, strategy=Strategy.REPLACE),
        Mechanism.REPLACE,
        ("api-0", "api-1", "api-2"),
        "the policy's strategy",
        id="asked to replace all that leak",
    ),
    pytest.param(
        a_situation(strategy=Strategy.REPLACE, verdict=Verdict.SUSPECT),
        Mechanism.REPLACE,
        ("api-2",),
        "the policy's strategy",
        id="none is known to leak: the suspects",
    ),
    pytest.param(
        a_situation(strategy=Strategy.EVICT),
        Mechanism.EVICT,
        ("api-2",),
        "the policy's strategy",
        id="asked to evict",
    ),
    pytest.param(
        a_situation(strategy=Strategy.ROLLING_RESTART),
        Mechanism.ROLLING_RESTART,
        (),
        "the policy's strategy",
        id="asked for a rolling restart",
    ),
    pytest.param(
        a_situation("Service"), Mechanism.REPLACE, ("api-2",), "only 1 of 3 replicas grow", id="ECS, partly"
    ),
    pytest.param(
        a_situation("Service", growing=3),
        Mechanism.ROLLING_RESTART,
        (),
        "3 of 3 replicas grow",
        id="ECS, wholly",
    ),
    pytest.param(
        a_situation("Service", of=1, strategy=Strategy.REPLACE),
        Mechanism.ROLLING_RESTART,
        (),
        "it has one task",
        id="ECS, one task",
    ),
    pytest.param(
        a_situation("Service", of=2),
        Mechanism.ROLLING_RESTART,
        (),
        "1 of 2 replicas grow",
        id="ECS, two tasks",
    ),
    pytest.param(
        a_situation("Service", strategy=Strategy.ROLLING_RESTART),
        Mechanism.ROLLING_RESTART,
        (),
        "the policy's strategy",
        id="ECS, asked for a rolling restart",
    ),
    pytest.param(
        a_situation("Service", strategy=Strategy.REPLACE),
        Mechanism.REPLACE,
        ("api-2",),
        "the policy's strategy",
        id="ECS, asked to replace",
    ),
    pytest.param(
        judged(
            {"api-0": LEAKING, "api-1": LEAKING | {"used_bytes": 351 * MIB}, "api-2": SUSPECTED, "api-3": {}}
        ),
        Mechanism.REPLACE,
        ("api-1", "api-0"),
        "the policy's strategy",
        id="the worst first, and suspects not at all while others are known to leak",
    ),
    pytest.param(
        judged(
            {"api-0": LEAKING, "api-1": {"used_bytes": 205 * MIB}, "api-2": {}, "api-3": {}}, Strategy.AUTO
        ),
        Mechanism.ROLLING_RESTART,
        (),
        "2 of 4 replicas grow",
        id="grown by exactly half of what the worst has",
    ),
    pytest.param(
        judged({"api-0": LEAKING | {"used_bytes": 60 * MIB}, "api-1": {}, "api-2": {}}, Strategy.AUTO),
        Mechanism.REPLACE,
        ("api-0",),
        "only 1 of 3 replicas grow",
        id="where the worst has not grown yet, nobody has grown alike",
    ),
    pytest.param(
        judged({"api-0": LEAKING, "api-1": BIG_FROM_THE_START, "api-2": BIG_FROM_THE_START}, Strategy.AUTO),
        Mechanism.REPLACE,
        ("api-0",),
        "only 1 of 3 replicas grow",
        id="big from the start is not grown",
    ),
    pytest.param(
        judged({"api-0": LEAKING, "api-1": UNKNOWN_START, "api-2": UNKNOWN_START}, Strategy.AUTO),
        Mechanism.REPLACE,
        ("api-0",),
        "only 1 of 3 replicas grow",
        id="whose start is not known has not grown, as far as is known",
    ),
]


ALL = ("api-2", "api-0", "api-1")
BY_HAND = Request(kind=RequestKind.RESTART, at=NOW, who="jane", why="before the sale")


@pytest.mark.parametrize(
    ("kind", "strategy", "mechanism", "replicas"),
    [
        ("Deployment", Strategy.AUTO, Mechanism.ROLLING_RESTART, ()),
        ("Deployment", Strategy.REPLACE, Mechanism.REPLACE, ALL),
        ("Deployment", Strategy.EVICT, Mechanism.EVICT, ("api-0", "api-1", "api-2")),
        ("StatefulSet", Strategy.AUTO, Mechanism.EVICT, ("api-2", "api-1", "api-0")),
        ("DaemonSet", Strategy.AUTO, Mechanism.ROLLING_RESTART, ()),
        ("Service", Strategy.AUTO, Mechanism.ROLLING_RESTART, ()),
        ("Service", Strategy.REPLACE, Mechanism.REPLACE, ALL),
    ],
)
@pytest.mark.parametrize("growing", [0, 1])
def test_restart_that_was_asked_for_by_hand_is_for_every_replica(
    kind: str, strategy: Strategy, mechanism: Mechanism, replicas: tuple[str, ...], growing: int
) -> None:
    changes = {"replaces_before_stopping": False} if kind == "DaemonSet" else {}
    situation = a_situation(kind, growing=growing, strategy=strategy, grown=60 * MIB, **changes)

    choice = choose(replace(situation, requests=(BY_HAND,)))

    assert choice.mechanism is mechanism
    assert sorted(choice.replicas) == sorted(replicas)
    asked, chosen = "asked for by hand, for every replica", choice.because.partition(";")[0]
    assert chosen == (asked if strategy is Strategy.AUTO else "the policy's strategy")


def test_request_for_profiles_changes_no_mechanism() -> None:
    capture = replace(BY_HAND, kind=RequestKind.CAPTURE)

    assert choose(replace(a_situation(), requests=(capture,))).mechanism is Mechanism.REPLACE


@pytest.mark.parametrize(("situation", "mechanism", "replicas", "because"), CASES)
def test_mechanism_is_chosen_and_says_why(
    situation: Situation, mechanism: Mechanism, replicas: tuple[str, ...], because: str
) -> None:
    choice = choose(situation)

    assert (choice.mechanism, choice.replicas) == (mechanism, replicas)
    assert choice.because == because


def test_statefulset_goes_by_the_number_at_the_end_of_the_name_and_last_whoever_has_none() -> None:
    situation = judged({f"shop-api-{end}": LEAKING for end in ("0", "canary", "1")}, Strategy.EVICT)
    ref = replace(situation.workload.ref, kind="StatefulSet")

    choice = choose(replace(situation, workload=replace(situation.workload, ref=ref)))

    assert choice.replicas == ("shop-api-1", "shop-api-0", "shop-api-canary")


def test_refusal_is_that_of_the_chosen_mechanism() -> None:
    situation = a_situation(strategy=Strategy.REPLACE, replace_refusal="ports of the node")
    rolling = replace(situation, policy=a_policy(remediation=RemediationRules(strategy=Strategy.EVICT)))

    assert choose(situation).refusal == "ports of the node"
    assert choose(rolling).refusal == ""
