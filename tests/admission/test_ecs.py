"""ECS services governed from the cluster: a real API server, the chart's rights, the ECS stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admission.test_authors import write
from tests.admission.test_controller import controller, policies
from tests.cluster.cluster import Cluster
from tests.ecs.cloud import a_client, aws_environment, moto_server, remembered
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service
from tests.ecs.tasks import Pretence
from tests.ecs.waiting import until

__all__ = ["policies"]

pytestmark = pytest.mark.apiserver

ON_ECS = {"ecs": {"region": "eu-west-1", "cluster": "prod", "services": ["api"]}}
ROLE = "ecs.roles[0].namespaces={shop},ecs.roles[0].clusters={eu-west-1/prod},remediate.enabled=true"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def ecs(moto: str) -> Iterator[EcsStandIn]:
    """A service of three tasks that climbed for two days and will meet 70 % in minutes."""
    with EcsStandIn(Pretence()) as standin:
        a_leaking_service(a_client("ecs", standin.url))
        until(lambda: standin.settled("api"))
        remembered(standin, moto, "api", (20, 89))
        yield standin


def apply(cluster: Cluster, name: str, target: dict[str, Any], mode: str = "Remediate") -> None:
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"mode": mode, "target": target, "metrics": {"source": "cloudwatch"}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(policy))


def found(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    answer = cluster.kubectl("get", kind, "-n", "shop", "-o", "json").stdout
    items: list[dict[str, Any]] = json.loads(answer)["items"]
    return items


def conditions(cluster: Cluster, name: str) -> dict[str, tuple[str, str]]:
    (policy,) = (one for one in found(cluster, "memorypolicies") if one["metadata"]["name"] == name)
    given = policy.get("status", {}).get("conditions", [])
    return {one["type"]: (one["status"], one["reason"]) for one in given}


def test_leaking_service_is_restarted_once_and_told_on_its_policy(
    policies: Cluster, ecs: EcsStandIn, moto: str, tmp_path: Path
) -> None:
    apply(policies, "services", ON_ECS)

    with controller(policies, tmp_path, ROLE, aws_environment(ecs.url, moto)):
        until(lambda: ecs.calls["UpdateService"] == 1, seconds=60, what="the forced deployment")
        until(lambda: "LeakRestartStarted" in told(policies), seconds=30, what="the Event")

        # Those of other tests may stand beside it.
        ours = [
            one for one in found(policies, "memoryincidents") if one["spec"]["policy"]["name"] == "services"
        ]
        (incident,) = ours
        workload = incident["spec"]["workload"]
        assert (workload["platform"], workload["kind"]) == ("ECS", "Service")
        assert workload["name"] == "eu-west-1/prod/api"
        assert incident["status"]["order"]["expectedRevision"].startswith("arn:aws:ecs:")
        assert "MemoryLeakDetected" in told(policies)
        assert conditions(policies, "services")["Accepted"] == ("True", "Valid")
    assert ecs.calls["UpdateService"] == 1
    policies.kubectl("delete", "memoryincidents", "--all", "-n", "shop")


def told(cluster: Cluster) -> set[str]:
    """Reasons of Events on the policy `services`."""
    return {
        one["reason"]
        for one in found(cluster, "events")
        if (one["involvedObject"]["kind"], one["involvedObject"]["name"]) == ("MemoryPolicy", "services")
    }


def test_role_that_the_namespace_may_not_use_is_refused_and_aws_is_never_asked(
    policies: Cluster, ecs: EcsStandIn, moto: str, tmp_path: Path
) -> None:
    role = "arn:aws:iam::210987654321:role/bilgepump"
    apply(policies, "other-role", {"ecs": {**ON_ECS["ecs"], "assumeRoleArn": role}})
    apply(policies, "other-cluster", {"ecs": {**ON_ECS["ecs"], "cluster": "test"}})
    ecs.calls.clear()

    with controller(policies, tmp_path, ROLE, aws_environment(ecs.url, moto)):
        for name in ("other-role", "other-cluster"):
            until(
                lambda name=name: conditions(policies, name).get("Accepted") == ("False", "RoleNotAllowed"),  # type: ignore[misc]
                seconds=30,
                what=f"the status of {name}",
            )
    assert not ecs.calls


def test_aws_that_does_not_answer_is_told_on_the_policy_and_ends_no_sweep(
    policies: Cluster, moto: str, tmp_path: Path
) -> None:
    apply(policies, "services", ON_ECS, mode="Observe")
    dead = aws_environment("http://127.0.0.1:9", moto) | {"AWS_MAX_ATTEMPTS": "1"}

    with controller(policies, tmp_path, ROLE, dead):
        until(
            lambda: (
                conditions(policies, "services").get("MetricsAvailable") == ("Unknown", "PlatformUnavailable")
            ),
            seconds=60,
            what="the condition",
        )
        assert "PlatformUnavailable" in told(policies)


def test_author_needs_a_right_of_its_own_to_remediate_on_ecs(installed: Cluster) -> None:
    installed.kubectl("create", "clusterrole", "patches", "--verb=patch", "--resource=deployments.apps")
    for role in ("bilgepump-edit", "patches"):
        installed.kubectl(
            "create", "rolebinding", f"eve-{role}", "-n", "shop", f"--clusterrole={role}", "--user=eve"
        )

    refused = write(installed, "eve", "Remediate", target=ON_ECS)

    assert "right to patch ecsservices.bilgepump.dev in namespace shop" in refused.stderr
    assert write(installed, "eve", "Observe", target=ON_ECS).returncode == 0
    installed.kubectl(
        "create",
        "rolebinding",
        "eve-remediates",
        "-n",
        "shop",
        "--clusterrole=bilgepump-policy-remediator",
        "--user=eve",
    )
    until(lambda: write(installed, "eve", "Remediate", target=ON_ECS).returncode == 0, seconds=10)
