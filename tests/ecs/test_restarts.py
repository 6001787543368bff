"""At most one forced deployment, at most one stop per task, whatever happens to the answers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.platforms.ecs.restarts import EcsRestarts
from controller.ports import OutcomeUnknown, RemediationRefused
from controller.remediation.order import ReceiptOutcome
from tests.ecs.conftest import Adapters
from tests.ecs.scheduler import now
from tests.ecs.waiting import until


async def test_forced_deployment_is_begun_once_however_often_it_is_ordered(adapters: Adapters) -> None:
    order = await adapters.order()

    receipts = [await adapters.restarts.carry_out(order) for _ in range(3)]

    assert [one.outcome for one in receipts] == [ReceiptOutcome.DONE] + [ReceiptOutcome.ALREADY_DONE] * 2
    assert adapters.ecs.calls["UpdateService"] == 1


async def test_forced_deployment_finds_its_own_effect(adapters: Adapters) -> None:
    order = await adapters.order()
    assert await adapters.restarts.find(order) is None

    await adapters.restarts.carry_out(order)

    found = await adapters.restarts.find(order)
    assert found is not None
    assert found.generation == (await adapters.workload()).generation


async def test_lost_answer_is_unknown_and_found_out_without_a_second_call(adapters: Adapters) -> None:
    order = await adapters.order()
    adapters.ecs.lose_answer("UpdateService")

    with pytest.raises(OutcomeUnknown):
        await adapters.restarts.carry_out(order)

    assert adapters.ecs.calls["UpdateService"] == 1
    assert await adapters.restarts.find(order) is not None
    assert (await adapters.restarts.carry_out(order)).outcome is ReceiptOutcome.ALREADY_DONE
    assert adapters.ecs.calls["UpdateService"] == 1


async def test_refused_call_did_nothing_and_says_so(adapters: Adapters) -> None:
    adapters.ecs.throttle("UpdateService")

    with pytest.raises(RemediationRefused, match="Rate exceeded"):
        await adapters.restarts.carry_out(await adapters.order())

    assert len(adapters.ecs.service("api").deployments) == 1


async def test_throttled_stop_did_nothing_and_the_account_is_left_alone(adapters: Adapters) -> None:
    task = adapters.ecs.service("api").tasks[0]
    order = await adapters.order(task.id)
    adapters.ecs.throttle("StopTask")

    with pytest.raises(RemediationRefused, match="Rate exceeded"):
        await adapters.restarts.carry_out(order)

    assert task.desired_status == "RUNNING"
    assert adapters.ecs.calls["StopTask"] == 1
    assert (await adapters.workload()).throttled


@pytest.mark.parametrize("operation", ["UpdateService", "StopTask"])
async def test_credentials_that_expire_before_the_act_leave_everything_as_it_is(
    adapters: Adapters, operation: str
) -> None:
    task = adapters.ecs.service("api").tasks[0]
    order = await adapters.order(*([task.id] if operation == "StopTask" else []))
    adapters.ecs.refuse(operation, "ExpiredTokenException")

    with pytest.raises(RemediationRefused, match="expired"):
        await adapters.restarts.carry_out(order)

    assert len(adapters.ecs.service("api").deployments) == 1
    assert task.desired_status == "RUNNING"
    assert await adapters.restarts.find(order) is None


async def test_deployment_since_the_judgement_voids_the_order(adapters: Adapters) -> None:
    order = replace(await adapters.order(), expected_revision="arn:of:another:1")
    adapters.client.update_service(cluster="prod", service="api", forceNewDeployment=True)

    with pytest.raises(RemediationRefused, match="deployed since"):
        await adapters.restarts.carry_out(order)

    assert adapters.ecs.calls["UpdateService"] == 1


async def test_service_made_again_since_the_judgement_is_left_alone(adapters: Adapters) -> None:
    order = await adapters.order()
    adapters.ecs.service("api").created_at += timedelta(minutes=1)

    with pytest.raises(RemediationRefused, match="no longer the one"):
        await adapters.restarts.carry_out(order)
    assert await adapters.restarts.find(order) is None


async def test_tasks_are_replaced_one_at_a_time_and_never_with_two_missing(adapters: Adapters) -> None:
    service = adapters.ecs.service("api")
    leaking = [task.id for task in service.tasks[:2]]
    order = await adapters.order(*leaking)

    await adapters.restarts.carry_out(order)
    await adapters.restarts.carry_out(order)
    assert adapters.ecs.calls["StopTask"] == 1
    until(lambda: adapters.ecs.settled("api"), what="the first replacement")
    await adapters.restarts.carry_out(order)
    assert adapters.ecs.calls["StopTask"] == 2
    until(lambda: adapters.ecs.settled("api"), what="the second replacement")
    await adapters.restarts.carry_out(order)

    assert adapters.ecs.calls["StopTask"] == 2
    stopped = [task for task in service.tasks if task.id in leaking]
    assert [task.stopped_reason for task in stopped] == [
        "bilgepump api-0a1b2c3d4e: memory leak, one task at a time"
    ] * 2


@pytest.mark.parametrize("operation", ["UpdateService", "StopTask"])
async def test_copy_that_lost_the_lead_after_its_look_at_the_service_does_nothing(
    adapters: Adapters, operation: str
) -> None:
    """It was paused between the look and the act, and another one leads and has acted meanwhile."""
    task = adapters.ecs.service("api").tasks[0]
    order = await adapters.order(*([task.id] if operation == "StopTask" else []))
    other = EcsRestarts(adapters.inventory, lambda _: adapters.api, adapters.confirm)

    async def led_by_another_now() -> bool:
        await other.carry_out(order)
        return False

    late = EcsRestarts(adapters.inventory, lambda _: adapters.api, led_by_another_now)
    with pytest.raises(RemediationRefused, match="does not lead"):
        await late.carry_out(order)

    assert adapters.ecs.calls[operation] == 1


async def test_task_that_goes_first_is_the_orders_and_not_the_listings(adapters: Adapters) -> None:
    listed = [one.name for one in (await adapters.workload()).replicas]
    order = await adapters.order(*reversed(listed))

    await adapters.restarts.carry_out(order)

    stopped = [one.id for one in adapters.ecs.service("api").tasks if one.desired_status == "STOPPED"]
    assert stopped == [listed[-1]]


async def test_lost_answer_of_a_stop_is_found_by_its_reason(adapters: Adapters) -> None:
    order = await adapters.order(adapters.ecs.service("api").tasks[0].id)
    adapters.ecs.lose_answer("StopTask")

    with pytest.raises(OutcomeUnknown):
        await adapters.restarts.carry_out(order)

    assert await adapters.restarts.find(order) is not None
    until(lambda: adapters.ecs.settled("api"))
    await adapters.restarts.carry_out(order)
    assert adapters.ecs.calls["StopTask"] == 1


async def test_task_protected_at_the_last_moment_is_not_stopped(adapters: Adapters) -> None:
    task = adapters.ecs.service("api").tasks[0]
    order = await adapters.order(task.id)
    task.protected_until = now() + timedelta(hours=1)

    with pytest.raises(RemediationRefused, match="is protected"):
        await adapters.restarts.carry_out(order)

    assert adapters.ecs.calls["StopTask"] == 0


async def test_deployment_by_people_ends_the_replacement(adapters: Adapters) -> None:
    order = await adapters.order(adapters.ecs.service("api").tasks[0].id)
    adapters.client.update_service(cluster="prod", service="api", forceNewDeployment=True)

    with pytest.raises(RemediationRefused, match="deployed since"):
        await adapters.restarts.carry_out(order)
