"""How tasks ended and what ECS told of the service, read from the stand-in through boto3."""

import pytest

from controller.evidence.replica_context import ContextPlan, Told, plan_context
from controller.platforms.ecs.context import EcsContext
from controller.ports import PlatformUnavailable
from tests.ecs.conftest import Adapters
from tests.ecs.tasks import Pretended
from tests.ecs.waiting import until
from tests.fakes import a_judgement


async def a_plan(adapters: Adapters) -> ContextPlan:
    workload = await adapters.workload()
    plan = plan_context(workload, a_judgement(workload), "shop/api-x", "late")
    assert plan is not None
    return plan


async def read(adapters: Adapters) -> Told:
    return await EcsContext(lambda _: adapters.api).read(await a_plan(adapters))


def run_out_of_memory(adapters: Adapters) -> None:
    """A task ends as the kernel ends it, and is replaced."""
    service = adapters.ecs.service("api")
    victim = next(task for task in service.tasks if task.desired_status == "RUNNING")
    assert isinstance(victim.running, Pretended)
    victim.running.ended = 137
    until(lambda: victim.desired_status == "STOPPED" and adapters.ecs.settled("api"))


async def test_task_that_ran_out_of_memory_is_told(adapters: Adapters) -> None:
    run_out_of_memory(adapters)

    told = await read(adapters)

    ended = told.context.previous_termination
    assert ended is not None
    assert (ended.reason, ended.exit_code) == ("EssentialContainerExited", 137)
    assert "OutOfMemoryError" in ended.message
    assert ended.finished_at is not None
    assert told.context.restart_count == 1
    assert (told.log, told.previous_log) == (None, None)


async def test_service_that_never_ended_a_task_has_no_termination(adapters: Adapters) -> None:
    told = await read(adapters)

    assert (told.context.previous_termination, told.context.restart_count) == (None, 0)


async def test_events_of_the_service_are_told(adapters: Adapters) -> None:
    events = (await read(adapters)).context.events

    assert events
    assert {one.about for one in events} == {"Service/api"}
    assert [one.at for one in events] == sorted(one.at for one in events)


async def test_log_is_not_read_and_the_way_to_it_is_told(adapters: Adapters) -> None:
    assert (await read(adapters)).context.missing == (
        "log: ECS keeps none, and the container does not write to CloudWatch Logs",
    )
    plan = await a_plan(adapters)
    definitions = adapters.ecs.scheduler.definitions.values()
    for definition in definitions:
        definition["containerDefinitions"][0]["logConfiguration"] = {
            "logDriver": "awslogs",
            "options": {"awslogs-group": "/shop/api", "awslogs-stream-prefix": "ecs"},
        }

    (told,) = (await read(adapters)).context.missing
    assert told == f"log: aws logs tail '/shop/api' --log-stream-names 'ecs/app/{plan.replica}' --since 1h"


async def test_service_that_no_policy_leads_to_is_told(adapters: Adapters) -> None:
    with pytest.raises(PlatformUnavailable, match="no policy leads to"):
        await EcsContext(lambda _: None).read(await a_plan(adapters))
