"""Ending pods that nobody finishes, where the API server refuses some of it."""

import pytest

from controller.platforms.kubernetes.api import ApiRefusal
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.leftovers import Leftovers
from controller.ports import PlatformUnavailable, RemediationRefused
from tests.platforms.kubernetes.served import ServedApi, a_released_pod

PODS = "/api/v1/namespaces/shop/pods"
FORBIDDEN = ApiRefusal(403, "Forbidden", "admission webhook `keep` denied the request")


class Lease:
    """Held for so many looks."""

    def __init__(self, looks: int = 100) -> None:
        self.looks = looks

    async def confirm(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


def leftovers(api: ServedApi, lease: Lease | None = None) -> Leftovers:
    return Leftovers(api, KubernetesInventory(api), (lease or Lease()).confirm, namespaces=["shop"])


@pytest.fixture
def api() -> ServedApi:
    return ServedApi({PODS: [a_released_pod("api-1"), a_released_pod("api-2")]})


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(("DELETE", f"{PODS}/api-1"), id="its end"),
        pytest.param(("DELETE", f"{PODS}/api-2"), id="the end of the last one"),
    ],
)
async def test_pod_that_may_not_be_ended_keeps_no_other(api: ServedApi, refused: tuple[str, str]) -> None:
    api.refuses[refused] = FORBIDDEN

    (ended,) = await leftovers(api).tidy(set())

    assert ended.replica != refused[1].rpartition("/")[2]


async def test_workload_that_may_not_be_read_keeps_no_pod_of_another(api: ServedApi) -> None:
    api.lists[PODS][0]["metadata"]["annotations"] = {
        "bilgepump.dev/released-from": "StatefulSet/db/uid-db/r1"
    }
    api.refuses["GET", "/apis/apps/v1/namespaces/shop/statefulsets/db"] = FORBIDDEN

    (ended,) = await leftovers(api).tidy(set())

    assert ended.replica == "api-2"


async def test_what_was_ended_is_told_although_the_lease_was_lost_then(api: ServedApi) -> None:
    (ended,) = await leftovers(api, Lease(looks=1)).tidy(set())

    assert ended.replica == "api-1"


async def test_lease_that_is_lost_before_anything_was_ended_is_told(api: ServedApi) -> None:
    with pytest.raises(RemediationRefused, match="does not lead"):
        await leftovers(api, Lease(looks=0)).tidy(set())

    assert not [method for method, _ in api.asked if method == "DELETE"]


async def test_list_that_is_refused_is_told(api: ServedApi) -> None:
    api.refuses["GET", PODS] = FORBIDDEN

    with pytest.raises(PlatformUnavailable, match="403"):
        await leftovers(api).tidy(set())
