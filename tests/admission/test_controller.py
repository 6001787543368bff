"""The controller itself, run with the rights its chart gives it, against a real API server."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.cluster.audit import AuditEvent, service_account_user
from tests.cluster.cluster import Cluster
from tests.faults.controller_process import RELEASE, release, running_controller
from tests.faults.kubelet import tls_of
from tests.faults.proxy import Asked, Fault, faulty_server
from tests.policy.corpus import BAD, GOOD

pytestmark = pytest.mark.apiserver

SMALLEST = next(path for path in GOOD if path.stem == "smallest")
NOBODY_THERE = "prometheus.url=http://127.0.0.1:9"
SWEEPS = 3


@contextmanager
def controller(
    cluster: Cluster,
    folder: Path,
    values: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    interval: str = "1s",
    server: str = "",
) -> Iterator[None]:
    """The controller with a release of its own, until the end of the block."""
    with (
        release(cluster, f"sweepInterval={interval}", NOBODY_THERE, values),
        running_controller(cluster, folder, server=server, environment=environment),
    ):
        yield


@pytest.fixture
def policies(installed: Cluster) -> Iterator[Cluster]:
    """The API server, without any policy before and after."""
    yield installed
    installed.kubectl("delete", "memorypolicies", "--all", "-n", "shop")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param("remediate.enabled=false", id="in all namespaces"),
        pytest.param("watchNamespaces={shop}", id="in named namespaces"),
    ],
)
def test_rights_of_the_chart_are_enough_for_the_controllers_sweeps(
    policies: Cluster, values: str, tmp_path: Path
) -> None:
    user = service_account_user("ops", RELEASE)
    before = len(policies.audit_events(user=user))

    def requests() -> tuple[AuditEvent, ...]:
        return policies.audit_events(user=user)[before:]

    def swept() -> bool:
        lists = [event for event in requests() if (event.verb, event.resource) == ("list", "memoryincidents")]
        return len(lists) >= SWEEPS

    policies.kubectl("apply", "-f", str(SMALLEST))
    with controller(policies, tmp_path, values):
        policies.wait_until(f"{SWEEPS} sweeps are done", swept, timeout_seconds=60)
        wait_for(policies, "smallest", "Accepted=True")

    made = requests()
    assert [event for event in made if event.status_code == 403] == []
    assert {event.kind_of_write for event in made if event.verb not in {"get", "list", "watch"}} <= {
        "create leases.coordination.k8s.io",
        "patch leases.coordination.k8s.io",
        "patch memorypolicies.bilgepump.dev/status",
        "create events",
        "patch events",
    }


def test_policy_that_only_the_controller_can_refuse_says_why_and_others_go_on(
    policies: Cluster, tmp_path: Path
) -> None:
    refused = [bad for bad in BAD if bad.admitted]
    for path in (SMALLEST, *(bad.path for bad in refused)):
        policies.kubectl("apply", "-f", str(path))
    with controller(policies, tmp_path, "remediate.enabled=false"):
        wait_for(policies, "smallest", "Accepted=True")
        for bad in refused:
            wait_for(policies, bad.path.stem, "Accepted=False")
    for bad in refused:
        policy = policies.get(f"/apis/bilgepump.dev/v1alpha1/namespaces/shop/memorypolicies/{bad.path.stem}")
        (accepted,) = (one for one in policy["status"]["conditions"] if one["type"] == "Accepted")
        assert bad.field in accepted["message"]
        assert bad.says in accepted["message"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(name="refused", status=503), id="refused for a while"),
        pytest.param(Fault(name="expired", status=410), id="expired"),
        pytest.param(Fault(name="cut", reset="before"), id="cut for a while"),
    ],
)
def test_policy_applied_after_the_watch_was_lost_is_seen_all_the_same(
    policies: Cluster, fault: Fault, tmp_path: Path
) -> None:
    with (
        faulty_server(policies.layout.server, tls_of(policies, as_administrator=False)) as server,
        # So seldom that only the watch can be what wakes it.
        controller(policies, tmp_path, "remediate.enabled=false", interval="10m", server=server.url),
    ):
        policies.kubectl("apply", "-f", str(SMALLEST))
        wait_for(policies, "smallest", "Accepted=True")
        with server.broken(fault, watches):
            server.cut_watches()
            tries = len([one for one in server.asked if watches(one)])
            policies.wait_until(
                "the watch is tried again",
                lambda: len([one for one in server.asked if watches(one)]) > tries,
                timeout_seconds=30,
            )
        document = SMALLEST.read_text().replace("name: smallest", "name: later")
        policies.kubectl("apply", "-f", "-", stdin=document)
        wait_for(policies, "later", "Accepted=True")


def watches(asked: Asked) -> bool:
    return "watch=true" in asked.path


def wait_for(cluster: Cluster, policy: str, condition: str) -> None:
    cluster.kubectl("wait", f"mempol/{policy}", "-n", "shop", f"--for=condition={condition}", "--timeout=60s")
