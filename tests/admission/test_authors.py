"""Who may write which policy: RBAC and the ValidatingAdmissionPolicy together."""

import json
import time
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.chart.rendering import CHART, URL
from tests.cluster.cluster import Cluster
from tests.faults.controller_process import helm_on

pytestmark = pytest.mark.apiserver

BY_LABEL = {"selector": {"matchLabels": {"app": "api"}}}
BY_NAME = {"workloads": [{"kind": "Deployment", "name": "api"}]}


def write(
    cluster: Cluster, author: str, mode: str, *, target: Any = BY_LABEL, namespace: str = "shop", **spec: Any
) -> CompletedProcess[str]:
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": f"of-{author}", "namespace": namespace},
        "spec": {"mode": mode, "target": target} | spec,
    }
    return cluster.kubectl("apply", f"--as={author}", "-f", "-", stdin=json.dumps(policy), check=False)


@pytest.fixture(scope="module")
def authors(installed: Cluster) -> Cluster:
    """`editor` writes policies; `deployer` also patches Deployments; `remediator` has the role for it."""

    def bind(user: str, role: str) -> None:
        installed.kubectl(
            "create", "rolebinding", f"{user}-{role}", "-n", "shop", f"--clusterrole={role}", f"--user={user}"
        )

    installed.kubectl("create", "clusterrole", "deploys", "--verb=patch", "--resource=deployments.apps")
    bind("editor", "bilgepump-edit")
    bind("deployer", "bilgepump-edit")
    bind("deployer", "deploys")
    bind("remediator", "bilgepump-policy-remediator")
    bind("viewer", "bilgepump-view")
    return installed


@pytest.mark.parametrize("mode", ["Observe", "Capture"])
def test_editor_may_write_policies_that_change_nothing(authors: Cluster, mode: str) -> None:
    answer = write(authors, "editor", mode)
    assert answer.returncode == 0, answer.stderr


def test_editor_without_the_right_to_patch_may_not_remediate(authors: Cluster) -> None:
    answer = write(authors, "editor", "Remediate")
    assert answer.returncode != 0
    assert "must have the right to patch deployments in namespace shop" in answer.stderr
    assert "Observe and Capture need no such right" in answer.stderr


def test_right_to_patch_counts_for_its_kinds_only(authors: Cluster) -> None:
    assert write(authors, "deployer", "Remediate", target=BY_NAME).returncode == 0
    answer = write(authors, "deployer", "Remediate", target=BY_LABEL)
    assert "must have the right to patch statefulsets" in answer.stderr


def test_right_to_patch_argo_rollouts_is_asked_for_like_the_others(authors: Cluster) -> None:
    rollout = {"workloads": [{"kind": "Rollout", "name": "api"}]}
    answer = write(authors, "deployer", "Remediate", target=rollout)
    assert "must have the right to patch rollouts in namespace shop" in answer.stderr
    assert write(authors, "remediator", "Remediate", target=rollout).returncode == 0


@pytest.fixture
def nobody_looks_at_rollouts(authors: Cluster) -> Iterator[Cluster]:
    """`rollouts.enabled` is false until the end of the test; `builder` patches all other kinds."""
    kinds = "--resource=deployments.apps,statefulsets.apps,daemonsets.apps"
    authors.kubectl("create", "clusterrole", "builds", "--verb=patch", kinds)
    for role in ("bilgepump-edit", "builds"):
        authors.kubectl(
            "create",
            "rolebinding",
            f"builder-{role}",
            "-n",
            "shop",
            f"--clusterrole={role}",
            "--user=builder",
        )

    def look_at_rollouts(enabled: bool) -> None:
        values = f"{URL},rollouts.enabled={str(enabled).lower()}"
        helm_on(authors, "upgrade", "--set", values, "bilgepump", str(CHART))

        def in_force() -> bool:
            # Never the same twice: what a policy asks for already is not asked about again.
            target = {"selector": {"matchLabels": {"app": f"at-{time.monotonic_ns()}"}}}
            return ("rollouts" in write(authors, "builder", "Remediate", target=target).stderr) is enabled

        authors.wait_until(f"rollouts.enabled={enabled} is in force", in_force, timeout_seconds=30)

    look_at_rollouts(False)
    yield authors
    look_at_rollouts(True)


def test_right_to_patch_rollouts_is_asked_for_before_anybody_looks_at_them(
    nobody_looks_at_rollouts: Cluster,
) -> None:
    rollout = {"workloads": [{"kind": "Rollout", "name": "api"}]}
    answer = write(nobody_looks_at_rollouts, "builder", "Remediate", target=rollout)
    assert "must have the right to patch rollouts in namespace shop" in answer.stderr
    assert write(nobody_looks_at_rollouts, "builder", "Remediate", target=BY_LABEL).returncode == 0


def test_remediator_may_write_any_policy_in_his_namespace_only(authors: Cluster) -> None:
    assert write(authors, "remediator", "Remediate").returncode == 0
    assert "cannot" in write(authors, "remediator", "Remediate", namespace="default").stderr


def test_anybody_who_may_edit_can_stop_a_policy_but_not_widen_it(authors: Cluster) -> None:
    assert write(authors, "remediator", "Remediate").returncode == 0

    def edit(spec: dict[str, Any]) -> CompletedProcess[str]:
        patch = json.dumps({"spec": spec})
        return authors.kubectl(
            "patch",
            "mempol",
            "of-remediator",
            "-n",
            "shop",
            "--as=editor",
            "--type=merge",
            "-p",
            patch,
            check=False,
        )

    assert "right to patch" in edit({"target": {"selector": {"matchLabels": {"app": "all"}}}}).stderr
    assert authors.kubectl(
        "label", "mempol", "of-remediator", "-n", "shop", "--as=editor", "--overwrite", "seen=yes"
    )
    assert edit({"suspend": True}).returncode == 0
    assert "right to patch" in edit({"suspend": False}).stderr
    assert edit({"mode": "Observe"}).returncode == 0


def test_viewer_reads_policies_and_incidents_and_writes_neither(authors: Cluster) -> None:
    for plural in ("memorypolicies", "memoryincidents"):
        assert authors.kubectl("get", plural, "-n", "shop", "--as=viewer").returncode == 0
        for verb in ("create", "patch", "delete"):
            answer = authors.kubectl(
                "auth", "can-i", verb, f"{plural}.bilgepump.dev", "-n", "shop", "--as=viewer", check=False
            )
            assert answer.stdout.strip() == "no"


@pytest.mark.parametrize("author", ["editor", "deployer", "remediator"])
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_nobody_but_the_controller_writes_incidents(authors: Cluster, author: str, verb: str) -> None:
    answer = authors.kubectl(
        "auth", "can-i", verb, "memoryincidents.bilgepump.dev", "-n", "shop", f"--as={author}", check=False
    )
    assert answer.stdout.strip() == "no"


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "pods", "yes"),
        ("create", "memoryincidents.bilgepump.dev", "yes"),
        ("patch", "memoryincidents.bilgepump.dev/status", "yes"),
        ("patch", "deployments.apps", "no"),
        ("delete", "pods", "no"),
        ("create", "pods/exec", "no"),
        ("get", "pods/proxy", "no"),
        ("get", "secrets", "no"),
        ("get", "configmaps", "no"),
        ("patch", "memorypolicies.bilgepump.dev", "no"),
        ("create", "leases.coordination.k8s.io", "no"),
    ],
)
def test_controller_as_installed_may_tell_but_not_act(
    installed: Cluster, verb: str, resource: str, allowed: str
) -> None:
    account = "--as=system:serviceaccount:ops:bilgepump"
    answer = installed.kubectl("auth", "can-i", verb, *_split(resource), "-n", "shop", account, check=False)
    assert answer.stdout.strip() == allowed


def _split(resource: str) -> list[str]:
    """kubectl takes a subresource apart from its resource."""
    name, _, subresource = resource.partition("/")
    return [name, f"--subresource={subresource}"] if subresource else [name]
