"""A real API server with the chart installed: what people meet when they apply something."""

from collections.abc import Iterator

import pytest

from tests.chart.rendering import CHART, URL
from tests.cluster.cluster import Cluster
from tests.faults.controller_process import helm_on

NAMESPACE = "shop"


@pytest.fixture(scope="package")
def installed(apiserver: Cluster) -> Iterator[Cluster]:
    """The chart's CustomResourceDefinitions, roles and admission policy, and the namespace `shop`."""
    apiserver.create_namespace(NAMESPACE)
    values = f"{URL},rollouts.enabled=true"
    helm_on(
        apiserver,
        "install",
        "--create-namespace",
        "--take-ownership",
        "--set",
        values,
        "bilgepump",
        str(CHART),
    )
    for plural in ("memorypolicies", "clustermemorypolicies", "memoryincidents"):
        apiserver.kubectl(
            "wait", "--for=condition=Established", f"crd/{plural}.bilgepump.dev", "--timeout=30s"
        )
    _wait_for_admission_policy(apiserver)
    yield apiserver
    helm_on(apiserver, "uninstall", "bilgepump")
    apiserver.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _wait_for_admission_policy(apiserver: Cluster) -> None:
    """The API server takes up a new admission policy a moment after it is stored."""
    policy = (
        "{apiVersion: bilgepump.dev/v1alpha1, kind: MemoryPolicy, metadata: {name: probe, namespace: shop},"
        " spec: {mode: Remediate, target: {selector: {matchLabels: {app: api}}}}}"
    )
    apiserver.kubectl(
        "create",
        "rolebinding",
        "prober",
        "--namespace",
        NAMESPACE,
        "--clusterrole=bilgepump-edit",
        "--user=prober",
    )

    def refused() -> bool:
        answer = apiserver.kubectl(
            "create", "--dry-run=server", "--as=prober", "-f", "-", stdin=policy, check=False
        )
        return "ValidatingAdmissionPolicy" in answer.stderr

    apiserver.wait_until("the admission policy is in force", refused, timeout_seconds=30)
