"""Services as workloads, read from the stand-in through boto3."""

from datetime import timedelta

import pytest

from controller.inventory.workload import RolloutState
from controller.platforms.ecs.inventory import REMEMBERED_SWEEPS
from controller.platforms.ecs.reading import generation
from controller.policy.memory_policy import EcsTarget, Target
from controller.ports import PlatformUnavailable
from tests.ecs.conftest import REF, Adapters, a_client, an_ecs_policy
from tests.ecs.scheduler import now
from tests.ecs.server import EcsStandIn
from tests.ecs.story import MEMORY_MIB, a_leaking_service
from tests.ecs.waiting import until
from tests.fakes import MIB, a_policy


async def test_service_is_a_workload_with_its_tasks(adapters: Adapters) -> None:
    (workload,) = await adapters.inventory.workloads(frozenset({"shop"}))

    assert workload.ref == REF
    assert (workload.desired_replicas, workload.ready_replicas) == (3, 3)
    assert workload.rollout is RolloutState.STEADY
    assert dict(workload.labels) == {"app": "api"}
    replica = workload.replicas[0]
    assert replica.address is not None
    assert replica.containers[0].memory_limit_bytes == MEMORY_MIB * MIB
    assert replica.containers[0].image_digest


async def test_namespace_without_a_policy_for_ecs_has_no_workloads(adapters: Adapters) -> None:
    assert await adapters.inventory.workloads(frozenset({"other"})) == ()


async def test_tags_select_services(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    for name, tag in (("api", "red"), ("cart", "blue")):
        a_leaking_service(client, serviceName=name, desiredCount=1, tags=[{"key": "team", "value": tag}])
    target = EcsTarget(region="eu-west-1", cluster="prod", tags=(("team", "blue"),))
    adapters = Adapters(ecs, policies=[a_policy(target=Target(ecs=target))])

    found = await adapters.inventory.workloads(frozenset({"shop"}))

    assert [one.ref.name for one in found] == ["eu-west-1/prod/cart"]


async def test_many_services_are_read_with_few_calls(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    for number in range(60):
        a_leaking_service(client, serviceName=f"api-{number}", desiredCount=4)
    until(lambda: all(ecs.settled(f"api-{number}") for number in range(60)), seconds=30)
    ecs.calls.clear()
    target = EcsTarget(region="eu-west-1", cluster="prod", tags=(("app", "api"),))
    adapters = Adapters(ecs, policies=[a_policy(target=Target(ecs=target))])

    found = await adapters.inventory.workloads(frozenset({"shop"}))

    assert sum(len(one.replicas) for one in found) == 240
    assert dict(ecs.calls) == {
        "ListServices": 1,
        "DescribeServices": 6,
        "ListTasks": 3,
        "DescribeTasks": 3,
        "GetTaskProtection": 3,
        "DescribeTaskDefinition": len({one.template_revision for one in found}),
    }


async def test_definition_that_no_task_has_any_more_is_forgotten_after_a_while(adapters: Adapters) -> None:
    async def asked_by_a_sweep() -> int:
        before = adapters.ecs.calls["DescribeTaskDefinition"]
        await adapters.inventory.workloads(frozenset({"shop"}))
        return adapters.ecs.calls["DescribeTaskDefinition"] - before

    policies = list(adapters.policies)
    assert await asked_by_a_sweep() == 1
    for looks, asked in ((REMEMBERED_SWEEPS - 1, 0), (REMEMBERED_SWEEPS + 1, 1)):
        adapters.policies.clear()
        for _ in range(looks):
            assert await asked_by_a_sweep() == 0
        adapters.policies.extend(policies)
        assert await asked_by_a_sweep() == asked


async def test_task_is_ready_only_when_its_target_has_been_seen_healthy(adapters: Adapters) -> None:
    service = adapters.ecs.service("api")
    service.tasks[0].started_at = now() + timedelta(seconds=1)

    workload = await adapters.workload()

    assert workload.ready_replicas == 2


async def test_new_deployment_is_another_generation(adapters: Adapters) -> None:
    before = await adapters.workload()
    adapters.client.update_service(cluster="prod", service="api", forceNewDeployment=True)

    after = await adapters.workload()

    assert after.generation != before.generation
    assert after.rollout is RolloutState.PROGRESSING


def test_generation_is_the_number_of_the_primary_deployment() -> None:
    service = {"deployments": [{"status": "PRIMARY", "id": "ecs-svc/4029236882719875428"}]}

    assert generation(service) == 4029236882719875428


async def test_service_made_again_is_another_workload(adapters: Adapters) -> None:
    before = await adapters.workload()
    adapters.ecs.service("api").created_at += timedelta(minutes=1)

    assert (await adapters.workload()).uid != before.uid


@pytest.mark.parametrize(
    "operation",
    ["DescribeServices", "ListTasks", "DescribeTasks", "GetTaskProtection", "DescribeTaskDefinition"],
)
async def test_throttled_read_is_repeated_and_then_ends_the_sweep(adapters: Adapters, operation: str) -> None:
    adapters.ecs.throttle(operation, times=1)
    assert (await adapters.inventory.workloads(frozenset({"shop"})))[0].ready_replicas == 3

    adapters = Adapters(adapters.ecs)
    adapters.ecs.throttle(operation, times=3)
    with pytest.raises(PlatformUnavailable, match="Rate exceeded"):
        await adapters.inventory.workloads(frozenset({"shop"}))
    assert (await adapters.workload()).throttled


async def test_clock_that_runs_ahead_of_ours_moves_no_task_into_the_future(ecs: EcsStandIn) -> None:
    a_leaking_service(a_client(ecs))
    until(lambda: ecs.settled("api"))
    behind = timedelta(minutes=7)
    adapters = Adapters(ecs, clock=lambda: now() - behind)
    await adapters.workload()

    workload = await adapters.workload()

    ages = [now() - behind - one.created_at for one in workload.replicas]
    assert all(timedelta(seconds=-2) < age < timedelta(minutes=1) for age in ages)


async def test_missing_cluster_is_said(ecs: EcsStandIn) -> None:
    target = EcsTarget(region="eu-west-1", cluster="gone", services=("api",))
    adapters = Adapters(ecs, policies=[an_ecs_policy(name="gone")])
    adapters.policies = [a_policy(target=Target(ecs=target))]

    with pytest.raises(PlatformUnavailable, match="Cluster not found"):
        await adapters.inventory.workloads(frozenset({"shop"}))


async def test_credentials_that_expire_end_the_sweep_and_the_next_one_goes_on(adapters: Adapters) -> None:
    adapters.ecs.refuse("DescribeTasks", "ExpiredTokenException")

    with pytest.raises(PlatformUnavailable, match="expired"):
        await adapters.inventory.workloads(frozenset({"shop"}))

    assert (await adapters.workload()).ready_replicas == 3


async def test_cluster_that_cannot_be_read_leaves_the_others_alone(adapters: Adapters) -> None:
    gone = EcsTarget(region="eu-west-1", cluster="gone", services=("api",))
    adapters.policies.append(a_policy(name="gone", target=Target(ecs=gone)))

    (workload,) = await adapters.inventory.workloads(frozenset({"shop"}))

    assert workload.ref == REF
    assert list(adapters.inventory.unread) == ["shop/gone"]
    assert "Cluster not found" in adapters.inventory.unread["shop/gone"]


async def test_policies_of_one_cluster_share_calls(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    names = [f"api-{number}" for number in range(6)]
    for name in names:
        a_leaking_service(client, serviceName=name, desiredCount=1)
    until(lambda: all(ecs.settled(name) for name in names))
    ecs.calls.clear()
    adapters = Adapters(
        ecs,
        policies=[
            a_policy(
                name=name,
                target=Target(ecs=EcsTarget(region="eu-west-1", cluster="prod", services=(name,))),
            )
            for name in names
        ],
    )

    found = await adapters.inventory.workloads(frozenset({"shop"}))

    assert sorted(one.ref.name.rpartition("/")[2] for one in found) == names
    assert ecs.calls["DescribeServices"] == 1


async def test_service_of_a_deleted_policy_is_still_reached(adapters: Adapters) -> None:
    await adapters.workload()
    adapters.policies.clear()

    assert (await adapters.workload()).ref == REF
