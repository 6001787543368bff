"""Every hold of issue and design for ECS, from a real answer of the API to the decision."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.decision.decide import decide
from controller.decision.mechanism import Mechanism, choose_mechanism
from controller.decision.outcome import Action, HoldReason
from controller.policy.ecs_access import EcsAccess, EcsRole
from controller.ports import RemediationRefused
from tests.ecs.conftest import Adapters, a_client
from tests.ecs.scheduler import now
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service
from tests.ecs.tasks import Pretended
from tests.ecs.waiting import until


def created(**changes: Any) -> Callable[[EcsStandIn], None]:
    """A service that its owners made so."""

    def prepare(ecs: EcsStandIn) -> None:
        a_leaking_service(a_client(ecs), **changes)
        until(lambda: ecs.settled("api"))

    return prepare


def then(change: Callable[[EcsStandIn, Any], object]) -> Callable[[EcsStandIn], None]:
    """The story's service, and what happened to it since."""

    def prepare(ecs: EcsStandIn) -> None:
        created()(ecs)
        change(ecs, a_client(ecs))

    return prepare


def rolled_to_broken(ecs: EcsStandIn, client: Any) -> None:
    ecs.scheduler._runtime.broken = True  # type: ignore[attr-defined]
    client.update_service(
        cluster="prod",
        service="api",
        forceNewDeployment=True,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}},
    )
    until(lambda: ecs.service("api").primary.rollout == "FAILED")


def out_of_room(ecs: EcsStandIn, client: Any) -> None:
    ecs.scheduler.capacity = 3
    client.update_service(cluster="prod", service="api", desiredCount=4)
    until(lambda: "unable to place" in ecs.service("api").events[0]["message"])
    client.update_service(cluster="prod", service="api", desiredCount=3)


def unhealthy(ecs: EcsStandIn, client: Any) -> None:
    task = ecs.service("api").tasks[0]
    assert isinstance(task.running, Pretended)
    task.running.ready, task.health = False, "UNHEALTHY"


def protect(ecs: EcsStandIn, client: Any) -> None:
    client.update_task_protection(
        cluster="prod", tasks=[ecs.service("api").tasks[0].arn], protectionEnabled=True, expiresInMinutes=60
    )


def other_image(ecs: EcsStandIn, client: Any) -> None:
    (definition,) = ecs.scheduler.definitions.values()
    definition["containerDefinitions"][0]["image"] = "bilgepump.test/story:latest"


REFUSALS = [
    pytest.param(
        created(deploymentController={"type": "CODE_DEPLOY"}),
        HoldReason.RESTART_UNSUPPORTED,
        "CODE_DEPLOY",
        id="deployed by CodeDeploy",
    ),
    pytest.param(
        created(deploymentController={"type": "EXTERNAL"}),
        HoldReason.RESTART_UNSUPPORTED,
        "EXTERNAL",
        id="deployed by somebody else",
    ),
    pytest.param(
        created(deploymentConfiguration={"strategy": "BLUE_GREEN"}),
        HoldReason.RESTART_UNSUPPORTED,
        "BLUE_GREEN",
        id="strategy is not ROLLING",
    ),
    pytest.param(created(schedulingStrategy="DAEMON"), HoldReason.RESTART_UNSUPPORTED, "DAEMON", id="DAEMON"),
    pytest.param(
        created(deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100}),
        HoldReason.RESTART_UNSUPPORTED,
        "neither start a task nor stop one",
        id="percents let nothing move",
    ),
    pytest.param(
        created(deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100}),
        HoldReason.RESTART_UNSUPPORTED,
        "every task at once",
        id="percents let all stop at once",
    ),
    pytest.param(
        then(
            lambda ecs, client: client.update_service(cluster="prod", service="api", forceNewDeployment=True)
        ),
        HoldReason.ROLLOUT_IN_PROGRESS,
        "in progress",
        id="deployment under way",
    ),
    pytest.param(
        then(rolled_to_broken), HoldReason.ROLLOUT_FAILED, "circuit breaker", id="circuit breaker tripped"
    ),
    pytest.param(
        then(unhealthy),
        HoldReason.REPLICAS_NOT_READY,
        "2 of 3",
        id="a task is unhealthy",
    ),
    pytest.param(then(protect), HoldReason.TASK_PROTECTED, "is protected until", id="task protection"),
    pytest.param(then(out_of_room), HoldReason.CAPACITY_MISSING, "unable to place", id="no capacity"),
    pytest.param(then(other_image), HoldReason.IMAGE_MAY_DRIFT, "story:latest", id="tag that may have moved"),
    pytest.param(
        then(
            lambda ecs, client: client.tag_resource(
                resourceArn=ecs.service("api").arn,
                tags=[{"key": "bilgepump:paused", "value": "ann: load test"}],
            )
        ),
        HoldReason.WORKLOAD_PAUSED,
        "ann: load test",
        id="tagged as paused",
    ),
]


@pytest.mark.parametrize(("prepare", "reason", "says"), REFUSALS)
async def test_remediation_is_held(
    ecs: EcsStandIn, prepare: Callable[[EcsStandIn], None], reason: HoldReason, says: str
) -> None:
    prepare(ecs)

    decision = decide(await Adapters(ecs).situation())

    assert (decision.action, decision.reason) == (Action.HOLD, reason), decision.message
    assert says in decision.message


async def test_throttled_account_is_left_alone(adapters: Adapters) -> None:
    adapters.ecs.throttle("GetTaskProtection", times=3)
    with pytest.raises(Exception, match="Rate exceeded"):
        await adapters.workload()

    assert decide(await adapters.situation()).reason is HoldReason.PLATFORM_THROTTLED


async def test_nothing_in_the_way_means_a_forced_deployment_where_all_leak(adapters: Adapters) -> None:
    situation = await adapters.situation(leaking=3)

    assert decide(situation).action is Action.REMEDIATE
    assert choose_mechanism(situation) is Mechanism.ROLLING_RESTART


async def test_one_leaking_task_of_three_is_replaced_alone(adapters: Adapters) -> None:
    situation = await adapters.situation(leaking=1)

    assert decide(situation).action is Action.REMEDIATE
    assert choose_mechanism(situation) is Mechanism.REPLACE


async def test_percents_that_let_no_deployment_move_do_not_stop_the_replacement_of_one(
    ecs: EcsStandIn,
) -> None:
    created(deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100})(ecs)

    assert decide(await Adapters(ecs).situation(leaking=1)).action is Action.REMEDIATE


async def test_protection_of_a_healthy_task_does_not_stop_the_replacement_of_another(
    adapters: Adapters,
) -> None:
    healthy = adapters.ecs.service("api").tasks[-1]
    healthy.protected_until = now() + timedelta(hours=1)

    assert decide(await adapters.situation(leaking=1)).action is Action.REMEDIATE


async def test_only_task_is_never_stopped_first(ecs: EcsStandIn) -> None:
    percents = {"minimumHealthyPercent": 100, "maximumPercent": 200}
    created(desiredCount=1, deploymentConfiguration=percents)(ecs)

    situation = await Adapters(ecs).situation(leaking=1)

    assert choose_mechanism(situation) is Mechanism.ROLLING_RESTART
    assert decide(situation).action is Action.REMEDIATE


async def test_role_that_may_look_and_not_act_in_this_namespace_holds(adapters: Adapters) -> None:
    access = EcsAccess((EcsRole(namespaces=("shop",), remediate=False),))
    adapters = Adapters(adapters.ecs, may_not_act=access.may_not_act)

    decision = decide(await adapters.situation())

    assert decision.reason is HoldReason.ROLE_NOT_ALLOWED
    assert "`remediate: false`" in decision.message


@pytest.mark.parametrize(("operation", "leaking"), [("UpdateService", 3), ("StopTask", 1)])
async def test_act_that_aws_forbids_is_not_tried_again_for_a_while(
    adapters: Adapters, operation: str, leaking: int
) -> None:
    tasks = [one.id for one in adapters.ecs.service("api").tasks[:leaking]]
    adapters.ecs.refuse(operation, "AccessDeniedException")
    with pytest.raises(RemediationRefused, match="not authorized"):
        await adapters.restarts.carry_out(await adapters.order(*(tasks if leaking == 1 else ())))

    held = decide(await adapters.situation(leaking=leaking))

    assert held.reason is HoldReason.ROLE_NOT_ALLOWED
    assert "not authorized" in held.message
