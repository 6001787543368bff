"""What is asked of the API server for a look at everything, and for one at a single workload."""

from typing import Any

import pytest

from controller.inventory.workload import Platform, WorkloadRef
from controller.platforms.kubernetes.api import ApiRefusal
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.ports import PlatformUnavailable
from tests.platforms.kubernetes.served import ServedApi, metadata_of

REF = WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api")
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
NODES = "/api/v1/nodes"


@pytest.fixture
def api() -> ServedApi:
    deployment: dict[str, Any] = {"metadata": metadata_of("api"), "spec": {"replicas": 2}}
    api = ServedApi({DEPLOYMENTS: [deployment]})
    api.objects[f"{DEPLOYMENTS}/api"] = deployment
    return api


async def test_look_at_one_workload_lists_nothing_of_the_whole_cluster(api: ServedApi) -> None:
    inventory = KubernetesInventory(api, everywhere=True)
    await inventory.workloads(frozenset({"shop"}))
    assert ("GET", "/api/v1/persistentvolumeclaims") in api.asked
    api.asked.clear()

    assert await inventory.workload(REF) is not None

    assert ("GET", "/api/v1/namespaces/shop/persistentvolumeclaims") in api.asked
    assert all("/namespaces/shop" in path for _, path in api.asked)


async def test_nodes_are_listed_once_where_no_sweep_has_listed_them(api: ServedApi) -> None:
    inventory = KubernetesInventory(api, everywhere=True)

    await inventory.workload(REF)
    await inventory.workload(REF)

    assert api.asked.count(("GET", NODES)) == 1


async def test_nodes_that_the_sweep_might_not_list_stay_unread(api: ServedApi) -> None:
    api.refuses["GET", NODES] = ApiRefusal(403, "Forbidden", "nodes is forbidden")
    inventory = KubernetesInventory(api, everywhere=True)
    (swept,) = await inventory.workloads(frozenset({"shop"}))

    found = await inventory.workload(REF)

    assert found is not None
    assert found.unread == swept.unread == ("nodes",)


async def test_workload_of_a_kind_that_is_not_read_here_is_unknown_and_not_gone(api: ServedApi) -> None:
    service = WorkloadRef(Platform.ECS, "shop", "Service", "eu-west-1/prod/api")

    with pytest.raises(PlatformUnavailable, match=r"Service shop/eu-west-1/prod/api is of no kind"):
        await KubernetesInventory(api).workload(service)
