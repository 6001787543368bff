"""The chart's pods in a namespace that enforces the `restricted` standard: the API server decides."""

import json
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, URL, helm
from tests.cluster.cluster import Cluster

pytestmark = [pytest.mark.apiserver, pytest.mark.go]

NAMESPACE = "restricted-pods"
VALUES = sorted((CHART / "ci").glob("*.yaml"))


@pytest.fixture(scope="module")
def restricted(apiserver: Cluster) -> Iterator[Cluster]:
    apiserver.create_namespace(NAMESPACE)
    apiserver.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield apiserver
    apiserver.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def pods(*options: str) -> list[dict[str, Any]]:
    """Every pod that the chart brings: the controller's and those of its hooks."""
    text = helm("template", "bilgepump", str(CHART), "--namespace", NAMESPACE, "--set", URL, *options)
    found = []
    for document in filter(None, yaml.safe_load_all(text)):
        if document["kind"] == "Pod":
            found.append(document)
        template = (document.get("spec") or {}).get("template")
        if template:
            labels = template["metadata"].get("labels", {})
            metadata = {"name": document["metadata"]["name"], "labels": labels}
            found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    for pod in found:
        pod["metadata"]["namespace"] = NAMESPACE
        # The ServiceAccount of the release, which is not installed here.
        pod["spec"].pop("serviceAccountName", None)
    return found


def admit(cluster: Cluster, pod: dict[str, Any]) -> CompletedProcess[str]:
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_pod_is_admitted(restricted: Cluster, values: Any) -> None:
    brought = pods("--values", str(values))
    assert len(brought) == 2, "the controller and the hook of `helm test`"
    for pod in brought:
        answer = admit(restricted, pod)
        assert answer.returncode == 0, answer.stderr
        assert "PodSecurity" not in answer.stderr


def test_pod_that_may_do_more_is_refused(restricted: Cluster) -> None:
    for pod in pods():
        del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
        answer = admit(restricted, pod)
        assert "violates PodSecurity" in answer.stderr
