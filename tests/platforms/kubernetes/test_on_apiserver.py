"""The adapters against a real API server: what a restart owns, what it rehearses, and what stands around."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.platforms.kubernetes.api import KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.restarts import RollingRestarts
from controller.ports import RemediationRefused
from controller.remediation.order import Order, ReceiptOutcome, order_remediation
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.apiserver

NAMESPACE = "gitops"
REF = WorkloadRef(Platform.KUBERNETES, NAMESPACE, "Deployment", "api")
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/api"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "api", "namespace": NAMESPACE},
    "spec": {
        "replicas": 2,
        "selector": {
            "matchLabels": {"app": "api"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "tier", "operator": "NotIn", "values": ["middle"]},
                {"key": "app", "operator": "Exists"},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        },
        "template": {
            "metadata": {"labels": {"app": "api", "tier": "front"}},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "api:1",
                        "resources": {"limits": {"cpu": "1", "memory": "256Mi"}},
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            },
        },
    },
}


async def leads() -> bool:
    return True


def connected(cluster: Cluster) -> KubernetesApi:
    configuration = Configuration()
    load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=configuration)
    return KubernetesApi(ApiClient(configuration))


@contextmanager
def with_rights(cluster: Cluster, *rules: str) -> Iterator[KubernetesApi]:
    """A connection that may get and list these resources, and nothing else."""
    account = f"system:serviceaccount:{NAMESPACE}:less"
    resources = f"--resource={','.join(rules)}"
    cluster.kubectl("create", "serviceaccount", "less", "-n", NAMESPACE)
    cluster.kubectl("create", "clusterrole", "less", "--verb=get,list", resources)
    cluster.kubectl("create", "clusterrolebinding", "less", "--clusterrole=less", f"--user={account}")
    try:
        administrator = Configuration()
        load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=administrator)
        configuration = Configuration(host=administrator.host)
        configuration.ssl_ca_cert = administrator.ssl_ca_cert
        token = cluster.kubectl("create", "token", "less", "-n", NAMESPACE).stdout.strip()
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        yield KubernetesApi(ApiClient(configuration))
    finally:
        for kind in ("clusterrolebinding", "clusterrole", "serviceaccount"):
            cluster.kubectl("delete", kind, "less", *(["-n", NAMESPACE] if kind == "serviceaccount" else []))


@pytest.fixture(scope="module")
def namespaced(apiserver: Cluster) -> Iterator[Cluster]:
    apiserver.create_namespace(NAMESPACE)
    yield apiserver
    apiserver.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def deployed(namespaced: Cluster) -> Iterator[Cluster]:
    """A Deployment as a GitOps tool applies it: server-side, by the manager `argocd-controller`."""
    namespaced.kubectl(
        "apply",
        "--server-side",
        "--field-manager=argocd-controller",
        "-f",
        "-",
        stdin=json.dumps(DEPLOYMENT),
    )
    yield namespaced
    namespaced.kubectl("delete", "deployment", "api", "-n", NAMESPACE)


def looked_at(cluster: Cluster) -> Workload:
    found = asyncio.run(KubernetesInventory(connected(cluster), everywhere=True).workload(REF))
    assert found is not None
    return found


def an_order(cluster: Cluster) -> Order:
    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
    return order_remediation(looked_at(cluster), choice, incident="api-1", memory_before_bytes=None, now=NOW)


def owned_by(document: dict[str, Any], manager: str) -> list[dict[str, Any]]:
    return [one["fieldsV1"] for one in document["metadata"]["managedFields"] if one["manager"] == manager]


def test_restart_owns_two_annotations_and_nothing_else(deployed: Cluster) -> None:
    before = deployed.get(PATH)

    receipt = asyncio.run(RollingRestarts(connected(deployed), leads).carry_out(an_order(deployed)))

    assert receipt.outcome is ReceiptOutcome.DONE
    after = deployed.get(PATH)
    assert owned_by(after, "bilgepump") == [
        {
            "f:spec": {
                "f:template": {
                    "f:metadata": {
                        "f:annotations": {
                            ".": {},
                            "f:bilgepump.dev/incident": {},
                            "f:kubectl.kubernetes.io/restartedAt": {},
                        }
                    }
                }
            }
        }
    ]
    assert owned_by(after, "argocd-controller") == owned_by(before, "argocd-controller")
    template = after["spec"]["template"]
    assert template["metadata"].pop("annotations").keys() == {
        "bilgepump.dev/incident",
        "kubectl.kubernetes.io/restartedAt",
    }
    template["metadata"].pop("creationTimestamp", None)
    before["spec"]["template"]["metadata"].pop("creationTimestamp", None)
    assert after["spec"] == before["spec"]


def test_next_sync_from_git_takes_nothing_of_it_away(deployed: Cluster) -> None:
    asyncio.run(RollingRestarts(connected(deployed), leads).carry_out(an_order(deployed)))
    generation = deployed.get(PATH)["metadata"]["generation"]

    deployed.kubectl(
        "apply",
        "--server-side",
        "--field-manager=argocd-controller",
        "-f",
        "-",
        stdin=json.dumps(DEPLOYMENT),
    )

    assert deployed.get(PATH)["metadata"]["generation"] == generation


def test_restart_is_done_once_however_often_it_is_ordered(deployed: Cluster) -> None:
    restarts, order = RollingRestarts(connected(deployed), leads), an_order(deployed)

    async def twice() -> list[ReceiptOutcome]:
        return [(await restarts.carry_out(order)).outcome for _ in range(2)]

    assert asyncio.run(twice()) == [ReceiptOutcome.DONE, ReceiptOutcome.ALREADY_DONE]


def test_workload_that_changed_since_it_was_judged_is_left_alone(deployed: Cluster) -> None:
    order = an_order(deployed)
    deployed.kubectl("scale", "deployment", "api", "-n", NAMESPACE, "--replicas=3")

    with pytest.raises(RemediationRefused, match="changed since it was judged"):
        asyncio.run(RollingRestarts(connected(deployed), leads).carry_out(order))

    assert "annotations" not in deployed.get(PATH)["spec"]["template"]["metadata"]


def test_rehearsal_that_admission_refuses_leaves_the_workload_as_it_was(deployed: Cluster) -> None:
    order = an_order(deployed)
    version = deployed.get(PATH)["metadata"]["resourceVersion"]

    with (
        with_rights(deployed, "deployments.apps") as api,
        pytest.raises(RemediationRefused, match="403"),
    ):
        asyncio.run(RollingRestarts(api, leads).carry_out(order))

    assert deployed.get(PATH)["metadata"]["resourceVersion"] == version


def test_look_at_one_workload_finds_the_pods_that_a_look_at_all_finds(deployed: Cluster) -> None:
    deployed.wait_until("both pods are made", lambda: len(deployed.pods(NAMESPACE)) == 2 or None)
    inventory = KubernetesInventory(connected(deployed), everywhere=True)
    (swept,) = asyncio.run(inventory.workloads(frozenset({NAMESPACE})))

    found = looked_at(deployed)

    assert sorted(one.name for one in found.replicas) == sorted(one.name for one in swept.replicas)
    assert (len(found.replicas), found.template_revision) == (2, swept.template_revision)


def test_what_stands_around_is_read_from_the_real_objects(deployed: Cluster) -> None:
    deployed.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": NAMESPACE},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small", "namespace": NAMESPACE},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "128Mi"}}]},
        },
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "scaler", "namespace": NAMESPACE},
            "spec": {
                "maxReplicas": 4,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "memory",
                            "target": {"type": "Utilization", "averageUtilization": 70},
                        },
                    }
                ],
            },
        },
    )

    found = looked_at(deployed)

    assert "volume claim data" in found.surge_refusal
    assert found.quota_refusal.startswith("LimitRange small: container app has a memory limit of 256Mi")
    assert found.autoscaler is not None
    assert (found.autoscaler.name, found.autoscaler.on_memory) == ("scaler", True)
    assert found.unread == ()


def test_kinds_that_may_not_be_listed_are_named_and_nothing_else_fails(deployed: Cluster) -> None:
    kinds = ("deployments.apps", "replicasets.apps", "pods", "namespaces", "poddisruptionbudgets.policy")
    with with_rights(deployed, *kinds) as api:
        found = asyncio.run(KubernetesInventory(api, everywhere=True).workload(REF))

    assert found is not None
    assert found.unread == (
        "horizontalpodautoscalers",
        "limitranges",
        "nodes",
        "persistentvolumeclaims",
        "resourcequotas",
    )
