"""The commands by hand on a real API server, each with the rights of somebody who has no others."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.decision.outcome import Hold, HoldReason
from controller.detection.assessment import GrowthClass, Verdict
from controller.inventory.request import RequestKind, parse_request
from controller.reporting.growing import Growing
from controller.reporting.incident import Incident, IncidentStatus, Phase
from controller.reporting.incident_document import from_document
from controller.reporting.policy_status import PolicyFacts, policy_status, status_document
from tests.admission.full_incident import a_full_incident
from tests.admission.test_definitions import store
from tests.cluster.client import CommandError
from tests.cluster.cluster import Cluster
from tests.fakes import NOW

pytestmark = pytest.mark.apiserver

PLUGIN = Path(sys.executable).with_name("kubectl-bilgepump")


class Person:
    """Somebody with a token of their own."""

    def __init__(self, cluster: Cluster, name: str, folder: Path, *roles: str) -> None:
        cluster.kubectl("create", "serviceaccount", name, "-n", "by-hand")
        for role in roles:
            account = f"--serviceaccount=by-hand:{name}"
            cluster.kubectl(
                "create", "rolebinding", f"{name}-{role}", "-n", "by-hand", f"--clusterrole={role}", account
            )
        document = yaml.safe_load(cluster.kubeconfig.read_text())
        token = cluster.kubectl("create", "token", name, "-n", "by-hand").stdout.strip()
        document["users"][0]["user"] = {"token": token}
        self.kubeconfig = folder / f"{name}.kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def says(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The plugin's executable, as kubectl starts it."""
        where = ["--kubeconfig", str(self.kubeconfig), "-n", "by-hand"]
        return subprocess.run([PLUGIN, *words, *where], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def shop(installed: Cluster) -> Iterator[Cluster]:
    installed.create_namespace("by-hand")
    installed.kubectl("create", "deployment", "api", "-n", "by-hand", "--image=registry.example/api:1")
    installed.kubectl("create", "clusterrole", "patches", "--verb=patch", "--resource=deployments.apps")
    yield installed
    installed.kubectl("delete", "namespace", "by-hand", "--wait=false")
    installed.kubectl("delete", "clusterrole", "patches")


@pytest.fixture(scope="module")
def viewer(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(shop, "viewer", tmp_path_factory.mktemp("viewer"), "bilgepump-view")


@pytest.fixture(scope="module")
def deployer(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(shop, "deployer", tmp_path_factory.mktemp("deployer"), "bilgepump-view", "patches")


@pytest.fixture(scope="module")
def approver(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(shop, "approver", tmp_path_factory.mktemp("approver"), "bilgepump-approver")


@pytest.fixture(scope="module")
def nobody(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(shop, "nobody", tmp_path_factory.mktemp("nobody"))


@pytest.fixture(scope="module")
def incident(shop: Cluster) -> Incident:
    full = a_full_incident()
    workload = type(full.spec.workload)(full.spec.workload.platform, "by-hand", "Deployment", "api")
    uid = shop.get("/apis/apps/v1/namespaces/by-hand/deployments/api")["metadata"]["uid"]
    spec = replace(full.spec, workload=workload, workload_uid=uid)
    made = Incident(name="api-by-hand", namespace="by-hand", spec=spec, status=full.status)
    store(shop, made)
    return made


SUSPECT = Growing(
    namespace="by-hand",
    kind="Deployment",
    name="api",
    container="app",
    verdict=Verdict.SUSPECT,
    growth_class=GrowthClass.HEAP,
    message="it grows, and may stop",
    growth_bytes_per_hour=2**20,
    used_bytes=100 * 2**20,
    limit_bytes=400 * 2**20,
    crosses_threshold_at=NOW + timedelta(hours=2),
)
FACTS = PolicyFacts(generation=1, workloads=1, suspect=1, growing=(SUSPECT,))


def annotations(cluster: Cluster) -> dict[str, Any]:
    document = cluster.get("/apis/apps/v1/namespaces/by-hand/deployments/api")
    return document["metadata"].get("annotations") or {}


def test_viewer_lists_what_leaks(viewer: Person, incident: Incident) -> None:
    assert "no workload is watched" in viewer.says("leaks").stderr
    listed = viewer.says("leaks", "--closed")
    assert listed.returncode == 0, listed.stderr
    header, row = listed.stdout.splitlines()
    assert header.split()[:3] == ["WORKLOAD", "VERDICT", "CLASS"]
    assert incident.name in row
    documents = json.loads(viewer.says("leaks", "--closed", "-o", "json").stdout)
    assert [one["incident"] for one in documents] == [incident.name]


def test_viewer_sees_suspects_of_the_policies_status(shop: Cluster, viewer: Person) -> None:
    path = "/apis/bilgepump.dev/v1alpha1/namespaces/by-hand/memorypolicies"
    target = {"workloads": [{"kind": "Deployment", "name": "api"}]}
    policy = {"apiVersion": "bilgepump.dev/v1alpha1", "kind": "MemoryPolicy", "spec": {"target": target}}
    shop.apply(policy | {"metadata": {"name": "suspects", "namespace": "by-hand"}})
    patch = json.dumps({"status": status_document(policy_status(FACTS, NOW), {}, NOW)})
    where = ("-n", "by-hand", "mempol", "suspects")
    shop.kubectl("patch", *where, "--subresource=status", "--type=merge", f"--patch={patch}")
    stored = shop.get(f"{path}/suspects")["status"]
    assert stored == status_document(policy_status(FACTS, NOW), stored, NOW)

    listed = viewer.says("leaks")

    assert listed.returncode == 0, listed.stderr
    _, row = listed.stdout.splitlines()
    assert row.split()[:3] == ["Deployment/api", "Suspect", "heap"]
    assert "you may not read those" in listed.stderr


@pytest.mark.parametrize("kind", list(RequestKind))
def test_request_is_an_annotation_with_who_the_api_server_says_they_are(
    shop: Cluster, deployer: Person, kind: RequestKind
) -> None:
    asked = deployer.says(kind.value, "deploy/api", "--why", "it is slow", "--wait", "0s")
    assert asked.returncode == 0, asked.stderr
    request = parse_request(kind, annotations(shop)[f"bilgepump.dev/{kind.value}-requested"])
    assert request is not None
    assert (request.who, request.why) == ("system:serviceaccount:by-hand:deployer", "it is slow")


def test_pause_and_resume(shop: Cluster, deployer: Person) -> None:
    assert deployer.says("pause", "deploy/api", "--why", "migration").returncode == 0
    assert annotations(shop)["bilgepump.dev/paused"] == "system:serviceaccount:by-hand:deployer: migration"
    assert deployer.says("resume", "deploy/api").returncode == 0
    assert "bilgepump.dev/paused" not in annotations(shop)


def test_acknowledgement_is_written_where_the_gate_looks(
    shop: Cluster, deployer: Person, incident: Incident
) -> None:
    answer = deployer.says("acknowledge", incident.name, "--why", "limit raised")
    assert answer.returncode == 0, answer.stderr
    written = annotations(shop)
    assert written["bilgepump.dev/acknowledged"] == incident.name
    assert written["bilgepump.dev/acknowledged-because"].endswith("deployer: limit raised")


@pytest.mark.parametrize("workload", ["api", "deleted"], ids=["made anew", "deleted"])
def test_acknowledgement_is_written_on_the_incident_where_its_workload_is_gone(
    shop: Cluster, deployer: Person, incident: Incident, workload: str
) -> None:
    ref = replace(incident.spec.workload, name=workload)
    spec = replace(incident.spec, workload=ref, workload_uid="gone")
    name = f"gone-{workload}"
    store(shop, replace(incident, name=name, spec=spec))
    told = ("acknowledge", name, "--why", "no more needed")
    refused = deployer.says(*told)
    assert refused.returncode == 1
    assert "memoryincidents" in refused.stderr
    both = Person(shop, f"both-{workload}", deployer.kubeconfig.parent, "bilgepump-approver", "patches")

    answer = both.says(*told)

    assert answer.returncode == 0, answer.stderr
    assert "is gone, nothing is held for it" in answer.stdout
    path = f"/apis/bilgepump.dev/v1alpha1/namespaces/by-hand/memoryincidents/{name}"
    read = from_document(shop.get(path))
    assert read.acknowledged_because == f"system:serviceaccount:by-hand:both-{workload}: no more needed"
    assert name not in annotations(shop).values()


def test_approval_is_in_the_approvers_own_name_and_refused_to_others(
    shop: Cluster, viewer: Person, approver: Person, incident: Incident
) -> None:
    command = "approve it with: kubectl annotate memi x bilgepump.dev/approved=1f0c5b8e9a77"
    held = replace(
        incident,
        name="api-waits",
        status=IncidentStatus(
            phase=Phase.HELD,
            because="ApprovalRequired",
            gates=(Hold(reason=HoldReason.APPROVAL_REQUIRED, message=command),),
        ),
    )
    store(shop, held)
    assert viewer.says("approve", "api-waits", "--yes").returncode == 1
    answer = approver.says("approve", "api-waits", "--yes", "--for", "2h")
    assert answer.returncode == 0, answer.stderr
    written = shop.get("/apis/bilgepump.dev/v1alpha1/namespaces/by-hand/memoryincidents/api-waits")
    assert written["metadata"]["annotations"]["bilgepump.dev/approved"] == "1f0c5b8e9a77"
    assert (
        written["metadata"]["annotations"]["bilgepump.dev/approved-by"]
        == "system:serviceaccount:by-hand:approver"
    )
    no = approver.says("approve", incident.name, "--yes")
    assert "does not wait for an approval" in no.stderr


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("leaks",), "memoryincidents"),
        (("leaks", "-A"), "memoryincidents"),
        (("restart", "deploy/api", "--why", "x", "--wait", "0s"), "patch resource"),
        (("pause", "deploy/api", "--why", "x"), "patch resource"),
        (("pause", "namespace/by-hand", "--why", "x"), "namespaces"),
        (("acknowledge", "api-by-hand", "--why", "x"), "memoryincidents"),
    ],
)
def test_missing_right_is_named_and_nothing_is_done(
    shop: Cluster, nobody: Person, words: tuple[str, ...], right: str
) -> None:
    before = annotations(shop)
    answer = nobody.says(*words)
    assert answer.returncode == 1
    assert "refused (403 Forbidden)" in answer.stderr
    assert right in answer.stderr
    assert "docs/by-hand.md" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert annotations(shop) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restart", "deploy/none", "--why", "x"), "404"),
        (("acknowledge", "none", "--why", "x"), "there is no incident none"),
    ],
)
def test_what_is_not_there_is_said(deployer: Person, words: tuple[str, ...], said: str) -> None:
    answer = deployer.says(*words)
    assert answer.returncode == 1
    assert said in answer.stderr


def test_kubectl_finds_the_plugin(shop: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{PLUGIN.parent}", prepend=":")
    try:
        answer = shop.kubectl("bilgepump", "leaks", "--help")
    except CommandError as error:
        pytest.fail(str(error))
    assert "List what leaks" in answer.stdout
