"""
The stage of the story, in any cluster: workloads, load, controller by Helm, policy.

The demo and the end-to-end tests stand on the same stage.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.client import KubernetesClient
from tests.cluster.controller_image import CONTROLLER_IMAGE, controller_image
from tests.workloads.story import write_story_image

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "bilgepump"
MANIFESTS = REPOSITORY / "tests" / "workloads"
CONTROLLER_NAMESPACE = "bilgepump"
RELEASE = "bilgepump"
SHORT_LOOKBACK = "15m"
"""The same detector on a short history; `allowShortLookback` permits it, in plain sight."""


def load_story_image(cluster: Any) -> None:
    """Builds the story's one image and imports it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "story.tar"
        write_story_image(archive)
        cluster.import_image(archive)


def load_controller_image(cluster: Any) -> None:
    """Builds the controller's image from the working tree and imports it."""
    with tempfile.TemporaryDirectory() as folder:
        cluster.import_image(controller_image(Path(folder) / "controller.tar"))


def install_controller(
    cluster: KubernetesClient, prometheus_url: str, values: Mapping[str, Any] | None = None
) -> None:
    """Installs the chart with Helm and waits until the controller is ready."""
    repository, _, tag = CONTROLLER_IMAGE.rpartition(":")
    chosen: dict[str, Any] = {
        "image": {"repository": repository, "tag": tag},
        "prometheus": {"url": prometheus_url, "sampleInterval": "5s"},
        "remediate": {"enabled": True},
        "allowShortLookback": True,
        "sweepInterval": "5s",
        **(values or {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.json"
        file.write_text(json.dumps(chosen))
        cluster.helm(
            "upgrade",
            "--install",
            RELEASE,
            str(CHART),
            "--namespace",
            CONTROLLER_NAMESPACE,
            "--create-namespace",
            "--values",
            str(file),
            "--wait",
            "--timeout",
            "120s",
            timeout_seconds=180,
        )


def uninstall_controller(cluster: KubernetesClient) -> None:
    """Uninstalls the chart; what the chart keeps is kept."""
    cluster.helm("uninstall", RELEASE, "--namespace", CONTROLLER_NAMESPACE, "--wait", timeout_seconds=120)


def deploy(cluster: KubernetesClient, namespace: str, *manifests: str) -> None:
    """Applies manifests of tests/workloads by name."""
    for manifest in manifests:
        cluster.kubectl("-n", namespace, "apply", "-f", str(MANIFESTS / f"{manifest}.yaml"))


def deploy_alone(cluster: KubernetesClient, namespace: str, *, memory_limit: str) -> None:
    """Applies one replica of the story's service, which asks itself for prices: a leak that costs little."""
    documents = yaml.safe_load_all((MANIFESTS / "story.yaml").read_text())
    mine = [document for document in documents if document["metadata"]["name"] == "api"]
    for document in mine:
        document["metadata"]["namespace"] = namespace
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = 1
            (container,) = document["spec"]["template"]["spec"]["containers"]
            container["resources"]["limits"]["memory"] = memory_limit
    cluster.apply(*mine)


def start_load(
    cluster: KubernetesClient, namespace: str, *, service: str = "api", requests_per_second: int = 60
) -> None:
    """Starts the Job of load.yaml on a Service."""
    job = yaml.safe_load((MANIFESTS / "load.yaml").read_text())
    job["metadata"]["namespace"] = namespace
    (container,) = job["spec"]["template"]["spec"]["containers"]
    settings = {one["name"]: one["value"] for one in container["env"]}
    settings |= {"TARGET_SERVICE": service, "RPS": str(requests_per_second)}
    container["env"] = [{"name": name, "value": value} for name, value in settings.items()]
    cluster.apply(job)


def stop_load(cluster: KubernetesClient, namespace: str) -> LoadResult:
    """Ends the load, and says what it has counted."""
    result = load_result(cluster, namespace)
    cluster.kubectl("-n", namespace, "delete", "job", "load", "--wait=false")
    return result


def a_policy(namespace: str, name: str = "api", **spec: Any) -> dict[str, Any]:
    """The story's policy; keyword arguments replace whole fields of its spec."""
    return {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "mode": "Remediate",
            "target": {"selector": {"matchLabels": {"app": "api"}}, "containers": ["app"]},
            "detection": {"threshold": {"percent": 70}, "lookback": SHORT_LOOKBACK, "minimumAge": "1m"},
            "evidence": {"pprof": [{"container": "app", "port": 6060}]},
            "remediation": {"leadTime": "1m", "cooldown": "10m"},
            # At half a minute of age, when traffic came matters more than what leaks.
            "verification": {"progressDeadline": "3m", "soak": "30s", "maximumMemoryRatioPercent": 200},
            **spec,
        },
    }


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the load generator counted."""

    sent: int
    failed: int


def load_result(cluster: KubernetesClient, namespace: str) -> LoadResult:
    """What the load generator has counted so far, from its own log."""
    log = cluster.kubectl("-n", namespace, "logs", "job/load", check=False).stdout
    return read_load(log)


def read_load(log: str) -> LoadResult:
    """The sum of the load generator's lines, one a second; the summary at its end is left out."""
    sent = failed = 0
    for line in log.splitlines():
        second = json.loads(line) if line.startswith("{") else {}
        if "sent" in second and not second.get("summary"):
            sent += second["sent"]
            failed += sum(second["failed"].values())
    return LoadResult(sent=sent, failed=failed)


def incidents(cluster: KubernetesClient, namespace: str) -> list[dict[str, Any]]:
    """The incidents of a namespace, oldest first."""
    found = cluster.get(f"/apis/bilgepump.dev/v1alpha1/namespaces/{namespace}/memoryincidents")
    items: list[dict[str, Any]] = found["items"]
    return sorted(items, key=lambda one: one["metadata"]["creationTimestamp"])


def events(cluster: KubernetesClient, namespace: str) -> list[dict[str, Any]]:
    """Our own Events of a namespace, oldest first."""
    found = cluster.get(f"/api/v1/namespaces/{namespace}/events")
    mine = [one for one in found["items"] if one.get("reportingComponent") == "bilgepump"]
    return sorted(mine, key=lambda one: one["firstTimestamp"])
