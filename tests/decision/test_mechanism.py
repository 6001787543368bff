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


CASES = [
    pytest.param(a_situation(), Mechanism.REPLACE, ("api-2",), "only 1 of 3", id="Deployment, partly"),
    pytest.param(a_situation(growing=3), Mechanism.ROLLING_RESTART, (), "3 of 3", id="Deployment, wholly"),
    pytest.param(a_situation(growing=1, of=2), Mechanism.ROLLING_RESTART, (), "1 of 2", id="half is most"),
    pytest.param(
        a_situation(grown=210 * MIB),
        Mechanism.ROLLING_RESTART,
        (),
        "3 of 3",
        id="the others have grown alike, though nothing is proven",
    ),
    pytest.param(
        a_situation(replace_refusal="its pods mount a PersistentVolumeClaim"),
        Mechanism.ROLLING_RESTART,
        (),
        "PersistentVolumeClaim",
        id="Deployment, partly, but no pod can stand beside another",
    ),
    pytest.param(
        a_situation("StatefulSet", growing=2, of=5),
        Mechanism.EVICT,
        ("api-4", "api-3"),
        "one ordinal at a time",
        id="StatefulSet, partly: from the highest ordinal down",
    ),
    pytest.param(
        a_situation("StatefulSet", growing=11, of=11),
        Mechanism.EVICT,
        tuple(f"api-{ordinal}" for ordinal in range(10, -1, -1)),
        "11 of 11",
        id="StatefulSet, wholly: all of them, by number and not by text",
    ),
    pytest.param(
        a_situation("StatefulSet", of=1),
        Mechanism.ROLLING_RESTART,
        (),
        "one replica",
        id="StatefulSet of one: a gate holds it",
    ),
    pytest.param(
        a_situation("DaemonSet", replaces_before_stopping=False),
        Mechanism.EVICT,
        ("api-2",),
        "every node",
        id="DaemonSet, partly",
    ),
    pytest.param(
        a_situation("DaemonSet", replace_refusal="a DaemonSet's pods cannot be released"),
        Mechanism.ROLLING_RESTART,
        (),
        "cannot be released",
        id="DaemonSet that surges",
    ),
    pytest.param(
        a_situation("Rollout", replaces_before_stopping=False),
        Mechanism.EVICT,
        ("api-2",),
        "would evict the others",
        id="Argo Rollout, partly",
    ),
    pytest.param(
        a_situation("Rollout", growing=3, replaces_before_stopping=False),
        Mechanism.ROLLING_RESTART,
        (),
        "3 of",
        id="Argo Rollout, wholly",
    ),
    pytest.param(
        a_situation(growing=3, strategy=Strategy.REPLACE),
        Mechanism.REPLACE,
        ("api-0", "api-1", "api-2"),
        "strategy",
        id="asked to replace all that leak",
    ),
    pytest.param(
        a_situation(strategy=Strategy.REPLACE, verdict=Verdict.SUSPECT),
        Mechanism.REPLACE,
        ("api-2",),
        "strategy",
        id="none is known to leak: the suspects",
    ),
    pytest.param(
        a_situation(strategy=Strategy.EVICT), Mechanism.EVICT, ("api-2",), "strategy", id="asked to evict"
    ),
    pytest.param(
        a_situation(strategy=Strategy.ROLLING_RESTART),
        Mechanism.ROLLING_RESTART,
        (),
        "strategy",
        id="asked for a rolling restart",
    ),
    pytest.param(a_situation("Service"), Mechanism.REPLACE, ("api-2",), "only 1 of 3", id="ECS, partly"),
    pytest.param(
        a_situation("Service", growing=3), Mechanism.ROLLING_RESTART, (), "3 of 3", id="ECS, wholly"
    ),
    pytest.param(
        a_situation("Service", of=1, strategy=Strategy.REPLACE),
        Mechanism.ROLLING_RESTART,
        (),
        "one task",
        id="ECS, one task",
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
    assert strategy is not Strategy.AUTO or "by hand" in choice.because


def test_request_for_profiles_changes_no_mechanism() -> None:
    capture = replace(BY_HAND, kind=RequestKind.CAPTURE)

    assert choose(replace(a_situation(), requests=(capture,))).mechanism is Mechanism.REPLACE


@pytest.mark.parametrize(("situation", "mechanism", "replicas", "because"), CASES)
def test_mechanism_is_chosen_and_says_why(
    situation: Situation, mechanism: Mechanism, replicas: tuple[str, ...], because: str
) -> None:
    choice = choose(situation)

    assert (choice.mechanism, choice.replicas) == (mechanism, replicas)
    assert because in choice.because


def test_refusal_is_that_of_the_chosen_mechanism() -> None:
    situation = a_situation(strategy=Strategy.REPLACE, replace_refusal="ports of the node")
    rolling = replace(situation, policy=a_policy(remediation=RemediationRules(strategy=Strategy.EVICT)))

    assert choose(situation).refusal == "ports of the node"
    assert choose(rolling).refusal == ""
