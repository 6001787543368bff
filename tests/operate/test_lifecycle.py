"""Install, upgrade from the chart's previous version, test, uninstall, install again: on a real cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, REPOSITORY
from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

(PREVIOUS,) = (Path(__file__).parents[1] / "chart" / "previous").glob("*.tgz")
NAMESPACE = RELEASE = "bilgepump"
SHOP = "operate-shop"
GIVEN = {
    document["metadata"]["name"]: document["spec"]["versions"]
    for document in (yaml.safe_load(path.read_text()) for path in (REPOSITORY / "crds").glob("*.yaml"))
}
OURS = "/apis/bilgepump.dev/v1alpha1"
POLICY: dict[str, Any] = {
    "apiVersion": "bilgepump.dev/v1alpha1",
    "kind": "MemoryPolicy",
    "metadata": {"name": "api", "namespace": SHOP},
    "spec": {"mode": "Observe", "target": {"selector": {"matchLabels": {"app": "api"}}}},
}

INCIDENT: dict[str, Any] = {
    "apiVersion": "bilgepump.dev/v1alpha1",
    "kind": "MemoryIncident",
    "metadata": {"name": "api-0123456789", "namespace": SHOP},
    "spec": {
        "openedAt": "2026-03-01T12:00:00Z",
        "policy": {"namespace": SHOP, "name": "api", "uid": "p-1", "generation": 1},
        "workload": {"platform": "Kubernetes", "kind": "Deployment", "namespace": SHOP, "name": "api"},
        "workloadUid": "w-1",
    },
}
INCIDENT_STATUS = {
    "phase": "Resolved",
    "because": "Recovered",
    "message": "memory came down: 33 MiB now, 32 MiB at the same age before",
    "closedAt": "2026-03-01T13:00:00Z",
    "timeline": [{"at": "2026-03-01T13:00:00Z", "what": "Recovered", "message": "memory came down"}],
}


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster without anything of ours, before and after."""
    _remove_everything(cluster)
    cluster.create_namespace(SHOP)
    cluster.create_namespace(NAMESPACE)
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", NAMESPACE, restricted)
    try:
        yield cluster
    finally:
        _remove_everything(cluster)


def _remove_everything(cluster: Cluster) -> None:
    cluster.helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found", "--wait")
    cluster.kubectl("delete", "crd", *GIVEN, "--ignore-not-found", "--timeout=60s")
    cluster.kubectl("delete", "namespace", SHOP, NAMESPACE, "--ignore-not-found", "--timeout=90s")


def test_install_upgrade_test_uninstall_and_install_again(
    bare: Cluster, prometheus: Prometheus, loaded_controller_image: str, tmp_path: Path
) -> None:
    values = _values(tmp_path, prometheus, loaded_controller_image)

    _helm(bare, "install", RELEASE, str(PREVIOUS), "--values", values)
    bare.apply(POLICY)
    _wait_accepted(bare)
    _record_incident(bare)
    before = _objects(bare)
    assert _definitions(bare) != GIVEN

    extra = ["networkPolicy.enabled=true", "podDisruptionBudget.enabled=true", "dashboards.enabled=true"]
    _helm(bare, "upgrade", RELEASE, str(CHART), "--reset-then-reuse-values", *_set(*extra))
    assert _definitions(bare) == GIVEN
    assert _objects(bare) == before
    _wait_accepted(bare)

    said = _helm(bare, "test", RELEASE, "--logs").stdout
    assert "/metrics: 200" in said

    bare.helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait")
    # Helm does not wait for the pod, which has some seconds to end.
    kept = {f"customresourcedefinition.apiextensions.k8s.io/{name}" for name in GIVEN}
    bare.wait_until("only the definitions are left", lambda: _labelled(bare) == kept, timeout_seconds=60)
    assert _left_in_the_namespace(bare) == {"lease.coordination.k8s.io/bilgepump"}
    assert _objects(bare) == before

    _helm(bare, "install", RELEASE, str(CHART), "--values", values)
    assert _objects(bare) == before


def test_installation_without_cluster_wide_rights_works(
    bare: Cluster, prometheus: Prometheus, loaded_controller_image: str, tmp_path: Path
) -> None:
    values = _values(tmp_path, prometheus, loaded_controller_image)
    bare.kubectl("apply", "--server-side", "--filename", str(REPOSITORY / "crds"))
    few = [
        "crds.install=false",
        "rbac.people=false",
        "admissionPolicy.enabled=false",
        "reports.enabled=false",
    ]
    _helm(
        bare, "install", RELEASE, str(CHART), "--values", values, *_set(f"watchNamespaces={{{SHOP}}}", *few)
    )
    cluster_wide = ("clusterroles", "clusterrolebindings", "validatingadmissionpolicies")
    found = bare.kubectl(
        "get", ",".join(cluster_wide), "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name"
    )
    assert found.stdout == ""
    bare.apply(POLICY)
    _wait_accepted(bare)


def _values(folder: Path, prometheus: Prometheus, image: str) -> str:
    repository, _, tag = image.rpartition(":")
    file = folder / "values.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "image": {"repository": repository, "tag": tag},
                "prometheus": {"url": prometheus.url, "sampleInterval": "5s"},
                "remediate": {"enabled": True},
                "sweepInterval": "5s",
            }
        )
    )
    return str(file)


def _helm(cluster: Cluster, verb: str, *arguments: str) -> Any:
    waiting = [] if verb == "test" else ["--wait"]
    return cluster.helm(
        verb, *arguments, "--namespace", NAMESPACE, *waiting, "--timeout", "150s", timeout_seconds=180
    )


def _set(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def _wait_accepted(cluster: Cluster) -> None:
    cluster.kubectl("wait", "--for=condition=Accepted", "memorypolicy/api", "-n", SHOP, "--timeout=60s")


def _record_incident(cluster: Cluster) -> None:
    """A closed incident, written as the controller writes it: first the object, then its status."""
    cluster.apply(INCIDENT)
    cluster.kubectl(
        *("patch", "memoryincident", INCIDENT["metadata"]["name"], "-n", SHOP, "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": INCIDENT_STATUS})),
    )


def _objects(cluster: Cluster) -> dict[str, Any]:
    """What must survive: identity and content of policies and incidents."""
    policies = cluster.get(f"{OURS}/namespaces/{SHOP}/memorypolicies")["items"]
    incidents = cluster.get(f"{OURS}/namespaces/{SHOP}/memoryincidents")["items"]
    # A newer definition may add defaults to a spec; the controller adds to a status where the report is.
    kept = {one["metadata"]["uid"]: {key: one["spec"][key] for key in POLICY["spec"]} for one in policies}
    told = {one["metadata"]["uid"]: {key: one["status"][key] for key in INCIDENT_STATUS} for one in incidents}
    return kept | told


def _definitions(cluster: Cluster) -> dict[str, Any]:
    """The versions of our definitions, with their schemas, as the cluster has them."""
    kept = cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    return {
        one["metadata"]["name"]: one["spec"]["versions"]
        for one in kept
        if one["spec"]["group"] == "bilgepump.dev"
    }


def _labelled(cluster: Cluster) -> set[str]:
    """Every object of every kind that carries the release's label."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    found = cluster.kubectl(
        "get", ",".join(kinds), "-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name"
    )
    return set(found.stdout.split())


def _left_in_the_namespace(cluster: Cluster) -> set[str]:
    """What is left there beside what Kubernetes makes in every namespace."""
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout.split()
    kinds = [kind for kind in kinds if not kind.startswith("events")]
    found = cluster.kubectl("get", ",".join(kinds), "-n", NAMESPACE, "-o", "name")
    return set(found.stdout.split()) - {"configmap/kube-root-ca.crt", "serviceaccount/default"}
