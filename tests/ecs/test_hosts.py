"""Tasks without a network interface of their own: reached at their instance's address and bound port."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controller.evidence.capture_plan import plan_captures
from controller.policy.memory_policy import PprofRule
from tests.ecs.cloud import a_client as an_aws_client
from tests.ecs.cloud import moto_server
from tests.ecs.conftest import Adapters, a_client
from tests.ecs.server import EcsStandIn
from tests.ecs.story import DEBUG_PORT, a_leaking_service
from tests.ecs.waiting import until
from tests.fakes import a_judgement


@pytest.fixture(scope="module")
def ec2() -> Iterator[Any]:
    with moto_server() as url:
        yield an_aws_client("ec2", url)


@pytest.fixture
def instance(ec2: Any) -> tuple[str, str]:
    """Its id and private address."""
    image = ec2.describe_images()["Images"][0]["ImageId"]
    (made,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    return made["InstanceId"], made["PrivateIpAddress"]


@pytest.fixture
def adapters(ecs: EcsStandIn, ec2: Any, instance: tuple[str, str], request: Any) -> Adapters:
    ecs.operations.ec2_instance = instance[0]
    a_leaking_service(a_client(ecs), network_mode=request.param)
    until(lambda: ecs.settled("api"))
    return Adapters(ecs, ec2=ec2)


async def endpoints(adapters: Adapters, port: int = DEBUG_PORT) -> list[tuple[str, int]]:
    workload = await adapters.workload()
    rules = (PprofRule(container="app", port=port),)
    plans = plan_captures(workload, a_judgement(workload), rules, "shop/api-1", "early")
    return [(plan.endpoint.address, plan.endpoint.port) for plan in plans]


@pytest.mark.parametrize("adapters", ["bridge"], indirect=True)
async def test_task_in_bridge_mode_is_reached_at_its_dynamic_port(
    adapters: Adapters, instance: tuple[str, str]
) -> None:
    ((address, port),) = await endpoints(adapters)

    assert address == instance[1]
    assert port >= 32768


@pytest.mark.parametrize("adapters", ["host"], indirect=True)
async def test_task_in_host_mode_is_reached_at_the_port_it_has_bound(
    adapters: Adapters, instance: tuple[str, str]
) -> None:
    assert await endpoints(adapters) == [(instance[1], DEBUG_PORT)]


@pytest.mark.parametrize("adapters", ["bridge", "host"], indirect=True)
async def test_port_that_the_task_has_not_bound_is_not_asked(adapters: Adapters) -> None:
    assert await endpoints(adapters, port=22) == []


@pytest.mark.parametrize("adapters", ["bridge"], indirect=True)
async def test_instance_is_asked_for_once(adapters: Adapters) -> None:
    for _ in range(3):
        await adapters.workload()

    assert adapters.ecs.calls["DescribeContainerInstances"] == 1


@pytest.mark.parametrize("adapters", ["bridge"], indirect=True)
async def test_without_the_right_to_ask_the_service_is_judged_without_profiles(adapters: Adapters) -> None:
    adapters.ecs.refuse("DescribeContainerInstances", "AccessDeniedException")

    workload = await adapters.workload()

    assert [one.address for one in workload.replicas] == [None] * 3
    assert workload.all_ready
    assert (await adapters.workload()).replicas[0].address is not None


@pytest.mark.parametrize("adapters", ["awsvpc"], indirect=True)
async def test_task_with_an_interface_of_its_own_needs_no_instance(adapters: Adapters) -> None:
    workload = await adapters.workload()

    assert adapters.ecs.calls["DescribeContainerInstances"] == 0
    assert all(one.published_ports is None for one in workload.replicas)
    assert replace(workload.replicas[0], published_ports=()).reached_at("app", DEBUG_PORT) is None
