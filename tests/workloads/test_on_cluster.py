"""The manifests on the real cluster: the restricted standard admits them, no rollout loses a request."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.workloads.story import write_story_image

pytestmark = pytest.mark.cluster

FOLDER = Path(__file__).parent
NAMESPACE = "story-workloads"
RPS = 60


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    archive = tmp_path_factory.mktemp("image") / "story.tar"
    write_story_image(archive)
    cluster.import_image(archive)
    cluster.create_namespace(NAMESPACE)
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", NAMESPACE, enforce)
    for name in ("story", "story-statefulset", "warmup", "sawtooth"):
        cluster.kubectl("-n", NAMESPACE, "apply", "-f", str(FOLDER / f"{name}.yaml"))
    yield cluster
    cluster.delete_namespace(NAMESPACE, timeout_seconds=120)


def load_job(target: str, requests: int) -> dict[str, Any]:
    """The Job of load.yaml for another Service and for a number of requests."""
    job: dict[str, Any] = yaml.safe_load((FOLDER / "load.yaml").read_text())
    job["metadata"].update(name=f"load-{target}", namespace=NAMESPACE)
    settings = {"TARGET_SERVICE": target, "RPS": str(RPS), "REQUESTS": str(requests)}
    environment = [{"name": name, "value": value} for name, value in settings.items()]
    job["spec"]["template"]["spec"]["containers"][0]["env"] = environment
    return job


def answers(cluster: Cluster, service: str) -> bool:
    """Whether kube-proxy leads to a ready pod: it learns of pods a moment after they are ready."""
    address = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/services/{service}")["spec"]["clusterIP"]
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=2):
            return True
    except OSError:
        return False


def finished(cluster: Cluster, name: str) -> dict[str, Any] | None:
    job: dict[str, Any] = cluster.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}")
    return job if job["status"].get("completionTime") or job["status"].get("failed") else None


@pytest.mark.parametrize(
    ("kind", "name", "requests"),
    [
        pytest.param("deployment", "api", 900, id="Deployment"),
        pytest.param("statefulset", "basket", 2400, id="StatefulSet, one replica at a time"),
    ],
)
def test_a_rolling_restart_under_load_loses_no_request(
    shop: Cluster, kind: str, name: str, requests: int
) -> None:
    shop.wait_for_pods(NAMESPACE, f"app={name}", count=3)
    shop.wait_until(f"the Service {name} answers", lambda: answers(shop, name))
    shop.apply(load_job(name, requests))
    shop.wait_for_pods(NAMESPACE, f"job-name=load-{name}", count=1)
    shop.kubectl("-n", NAMESPACE, "rollout", "restart", f"{kind}/{name}")
    shop.wait_for_rollout(kind, name, NAMESPACE)
    assert finished(shop, f"load-{name}") is None, "the load ended before the rollout did"
    shop.wait_until("the load has ended", lambda: finished(shop, f"load-{name}"), timeout_seconds=120)
    logs = shop.kubectl("-n", NAMESPACE, "logs", f"job/load-{name}").stdout
    summary = json.loads(logs.splitlines()[-1])
    assert summary["failed"] == {}, summary["last_errors"]
    assert summary["ok"] + summary["skipped"] == requests
    assert summary["skipped"] < 0.05 * requests


@pytest.mark.parametrize("name", ["warmup", "sawtooth"])
def test_the_healthy_neighbours_run(shop: Cluster, name: str) -> None:
    (pod,) = shop.wait_for_pods(NAMESPACE, f"app={name}", count=1)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
