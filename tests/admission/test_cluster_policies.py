"""ClusterMemoryPolicy on a real API server: what is taken, who may write it, whom it governs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.policy.parsing import parse_policy
from tests.admission.test_controller import SMALLEST, controller
from tests.cluster.cluster import Cluster
from tests.policy.cluster_corpus import ALL, BAD, GOOD, LABELS, cluster_policy
from tests.policy.corpus import read

pytestmark = pytest.mark.apiserver


def create(cluster: Cluster, spec: dict[str, Any], *more: str, check: bool = False) -> Any:
    text = json.dumps(cluster_policy(spec))
    return cluster.kubectl("create", "-f", "-", *more, stdin=text, check=check)


@pytest.mark.parametrize("spec", GOOD)
def test_good_one_is_admitted_with_the_same_meaning(installed: Cluster, spec: dict[str, Any]) -> None:
    stored = json.loads(create(installed, spec, "--dry-run=server", "-o", "json", check=True).stdout)
    expected = cluster_policy(spec)
    for document in (stored, expected):
        document["metadata"] |= {"uid": "", "generation": 0}
    assert parse_policy(stored) == parse_policy(expected)


@pytest.mark.parametrize(("spec", "field", "_says", "admission"), BAD)
def test_bad_one_is_refused_by_its_field(
    installed: Cluster, spec: dict[str, Any], field: str, _says: str, admission: str
) -> None:
    answer = create(installed, spec, "--dry-run=server")
    assert answer.returncode != 0
    assert admission in answer.stderr
    assert field in answer.stderr or field.rpartition(".")[0] in answer.stderr


def test_only_who_is_bound_to_it_in_the_whole_cluster_may_write_it(installed: Cluster) -> None:
    for user in ("namespace-admin", "platform"):
        installed.kubectl(
            "create", "rolebinding", f"{user}-admin", "-n", "shop", "--clusterrole=admin", f"--user={user}"
        )
    installed.kubectl(
        "create",
        "clusterrolebinding",
        "platform",
        "--clusterrole=bilgepump-cluster-policy-editor",
        "--user=platform",
    )
    refused = create(installed, ALL, "--dry-run=server", "--as=namespace-admin")
    assert "Forbidden" in refused.stderr
    assert create(installed, ALL, "--dry-run=server", "--as=platform").returncode == 0
    reads = installed.kubectl("get", "cmempol", "--as=namespace-admin", check=False)
    assert "Forbidden" in reads.stderr


@pytest.fixture
def two_teams(installed: Cluster) -> Iterator[Cluster]:
    """Namespaces `orders` and `bank` of one team, and `bare` of none, each with a Deployment `api`."""
    for name in ("orders", "bank", "bare"):
        installed.create_namespace(name)
        installed.kubectl("create", "deployment", "api", "-n", name, "--image=registry.example/api:1")
    for name in ("orders", "bank"):
        installed.kubectl("label", "namespace", name, "team=shop")
    yield installed
    installed.kubectl("delete", "cmempol", "--all")
    installed.kubectl("delete", "namespace", "orders", "bank", "bare", "--wait=false")


def status_of(cluster: Cluster, path: str) -> dict[str, Any]:
    status: dict[str, Any] = cluster.get(f"/apis/bilgepump.dev/v1alpha1/{path}").get("status", {})
    return status


def test_controller_governs_what_no_policy_of_the_namespace_does(two_teams: Cluster, tmp_path: Path) -> None:
    create(two_teams, LABELS, check=True)
    with controller(two_teams, tmp_path, "remediate.enabled=false"):
        two_teams.kubectl("wait", "cmempol/default", "--for=condition=Accepted=True", "--timeout=60s")
        two_teams.wait_until(
            "both teams' workloads are governed by default",
            lambda: status_of(two_teams, "clustermemorypolicies/default").get("workloads") == 2,
            timeout_seconds=60,
        )
        own = read(SMALLEST) | {"metadata": {"name": "smallest", "namespace": "orders"}}
        two_teams.apply(own)
        two_teams.wait_until(
            "the namespace's own policy takes its workload over",
            lambda: status_of(two_teams, "clustermemorypolicies/default").get("workloads") == 1,
            timeout_seconds=60,
        )
        assert status_of(two_teams, "namespaces/orders/memorypolicies/smallest")["workloads"] == 1
        told = json.loads(
            two_teams.kubectl(
                "get", "events", "-n", "default", "-o", "json", "--field-selector=involvedObject.name=default"
            ).stdout
        )
    assert {one["reason"] for one in told["items"]} == {"MetricsUnavailable"}
    assert {one["involvedObject"]["kind"] for one in told["items"]} == {"ClusterMemoryPolicy"}
    header, row = two_teams.kubectl("get", "cmempol").stdout.splitlines()
    assert header.split()[:4] == ["NAME", "MODE", "ACCEPTED", "WORKLOADS"]
    assert row.split()[:4] == ["default", "Observe", "True", "1"]


def test_controller_of_some_namespaces_reads_none(installed: Cluster, tmp_path: Path) -> None:
    create(installed, LABELS, check=True)
    installed.kubectl("apply", "-f", str(SMALLEST))
    with controller(installed, tmp_path, "watchNamespaces={shop}"):
        installed.kubectl(
            "wait", "mempol/smallest", "-n", "shop", "--for=condition=Accepted=True", "--timeout=60s"
        )
    assert status_of(installed, "clustermemorypolicies/default") == {}
    installed.kubectl("delete", "cmempol,mempol", "--all", "-n", "shop")
