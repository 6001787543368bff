"""The manifests of the demo: restricted pods, complete, and pointing at each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.workloads.story import IMAGE, SOURCE

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))
ROLES = set(re.findall(r'^\t"(\w+)":\s+\{', (SOURCE / "main.go").read_text(), flags=re.MULTILINE))


def objects(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def of_kind(path: Path, *kinds: str) -> list[dict]:
    return [each for each in objects(path) if each["kind"] in kinds]


def workloads(path: Path) -> list[dict]:
    return of_kind(path, "Deployment", "StatefulSet", "Job")


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def manifest(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_objects_take_the_namespace_they_are_applied_in(manifest: Path) -> None:
    assert objects(manifest)
    assert not [each["metadata"]["name"] for each in objects(manifest) if "namespace" in each["metadata"]]


def test_pods_meet_the_restricted_standard(manifest: Path) -> None:
    for workload in workloads(manifest):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_containers_run_a_role_of_the_story_within_a_memory_limit(manifest: Path) -> None:
    for workload in workloads(manifest):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        program, role = container["command"]
        assert (program, container["image"], container["imagePullPolicy"]) == (
            "/story",
            IMAGE,
            "IfNotPresent",
        )
        assert role in ROLES
        assert "memory" in container["resources"]["limits"]


def test_a_service_comes_before_the_pods_that_find_it_by_environment(manifest: Path) -> None:
    kinds = [each["kind"] for each in objects(manifest)]
    assert "Service" not in kinds[kinds.index(workloads(manifest)[0]["kind"]) :]


def test_selectors_match_the_labels_of_a_workload_of_the_same_file(manifest: Path) -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads(manifest)]
    selectors = [each["spec"]["selector"] for each in of_kind(manifest, "Service")]
    others = of_kind(manifest, "PodDisruptionBudget", "Deployment", "StatefulSet")
    selectors += [each["spec"]["selector"]["matchLabels"] for each in others]
    assert all(selector in labels for selector in selectors)


def test_serving_pods_are_probed_and_scraped_where_they_listen(manifest: Path) -> None:
    for workload in of_kind(manifest, "Deployment", "StatefulSet"):
        template = workload["spec"]["template"]
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": 8080, "pprof": 6060}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert template["metadata"]["annotations"] == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(ports["http"]),
            "prometheus.io/path": "/metrics",
        }


def test_both_stories_bring_the_same_pricing_service() -> None:
    pricing = [
        [each for each in objects(FOLDER / name) if each["metadata"]["name"] == "pricing"]
        for name in ("story.yaml", "story-statefulset.yaml")
    ]
    assert pricing[0] == pricing[1] != []
