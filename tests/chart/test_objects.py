"""The objects the chart makes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, REPOSITORY, URL, helm, of_kind, render

pytestmark = pytest.mark.go

CRDS = {
    document["metadata"]["name"]: document
    for document in (
        yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "crds").glob("*.yaml"))
    )
}


def pod_of(*settings: str) -> dict[str, Any]:
    (deployment,) = of_kind(render(URL, *settings), "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def rules_of(*settings: str) -> dict[str, list[dict[str, Any]]]:
    """The rules of the controller's roles, by what they are for."""
    roles = of_kind(render(URL, *settings), "Role", "ClusterRole")
    return {
        role["metadata"]["name"].removeprefix("bilgepump-"): role["rules"]
        for role in roles
        if role["metadata"]["name"] in {"bilgepump-read", "bilgepump-remediate", "bilgepump-lease"}
    }


def test_chart_brings_the_same_definitions_as_the_repository() -> None:
    rendered = of_kind(render(URL), "CustomResourceDefinition")
    assert {document["metadata"]["name"]: document["spec"] for document in rendered} == {
        name: document["spec"] for name, document in CRDS.items()
    }


def test_packaged_chart_brings_them_too(tmp_path: Path) -> None:
    """In the repository the chart's copy is a symbolic link; a package has to hold the files themselves."""
    helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    rendered = yaml.safe_load_all(helm("template", "bilgepump", str(package)))
    definitions = of_kind((document for document in rendered if document), "CustomResourceDefinition")
    assert {document["metadata"]["name"] for document in definitions} == set(CRDS)


def test_definitions_outlive_the_release_unless_told_otherwise() -> None:
    for document in of_kind(render(URL), "CustomResourceDefinition"):
        assert document["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for document in of_kind(render(URL, "crds.keep=false"), "CustomResourceDefinition"):
        assert "annotations" not in document["metadata"]
    assert not of_kind(render(URL, "crds.install=false"), "CustomResourceDefinition")


def test_pod_meets_the_restricted_standard() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and more."""
    pod = pod_of("remediate.enabled=true")
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"configMap", "emptyDir"}
    assert container["resources"]["limits"]["memory"] == "512Mi"


def test_pod_starts_anew_when_its_settings_change() -> None:
    def checksum(*settings: str) -> str:
        (deployment,) = of_kind(render(URL, *settings), "Deployment")
        text: str = deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        return text

    assert checksum() == checksum("podLabels.team=ops")
    assert checksum() != checksum("sweepInterval=30s")


def test_image_is_the_charts_version_unless_told_otherwise() -> None:
    chart = yaml.safe_load((REPOSITORY / "charts" / "bilgepump" / "Chart.yaml").read_text())
    digest = "sha256:" + "0" * 64
    assert pod_of()["containers"][0]["image"] == f"ghcr.io/bilgepump/bilgepump:{chart['appVersion']}"
    assert pod_of("image.tag=dev")["containers"][0]["image"].endswith(":dev")
    assert pod_of("image.tag=dev", f"image.digest={digest}")["containers"][0]["image"].endswith(f"@{digest}")


def test_evidence_in_s3_needs_no_volume() -> None:
    values = (
        "evidence.s3.bucket=ours",
        "evidence.s3.credentialsSecret=minio",
        "evidence.persistence.enabled=true",
    )
    pod = pod_of(*values)
    assert not of_kind(render(URL, *values), "PersistentVolumeClaim")
    assert "evidence" not in {volume["name"] for volume in pod["volumes"]}
    assert "evidence" not in {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "minio"}}]


def test_evidence_can_outlive_the_pod() -> None:
    assert not of_kind(render(URL), "PersistentVolumeClaim")
    (claim,) = of_kind(render(URL, "evidence.persistence.enabled=true"), "PersistentVolumeClaim")
    volumes = {volume["name"]: volume for volume in pod_of("evidence.persistence.enabled=true")["volumes"]}
    assert volumes["evidence"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]

    existing = ("evidence.persistence.enabled=true", "evidence.persistence.existingClaim=mine")
    volumes = {volume["name"]: volume for volume in pod_of(*existing)["volumes"]}
    assert volumes["evidence"]["persistentVolumeClaim"]["claimName"] == "mine"
    assert not of_kind(render(URL, *existing), "PersistentVolumeClaim")


def test_controller_can_change_nothing_by_default() -> None:
    rules = rules_of()
    assert set(rules) == {"read", "lease"}
    for rule in rules["read"]:
        ours = rule["apiGroups"] == ["bilgepump.dev"] or rule["resources"] == ["events"]
        assert ours or set(rule["verbs"]) <= {"get", "list", "watch"}


def test_remediation_adds_only_the_right_to_patch_workloads() -> None:
    assert rules_of("remediate.enabled=true")["remediate"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets", "daemonsets"],
            "verbs": ["patch"],
        }
    ]


def test_controller_never_gets_secrets_commands_or_wildcards() -> None:
    for rules in rules_of("remediate.enabled=true").values():
        for rule in rules:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert not {"secrets", "configmaps", "nodes"} & set(rule["resources"])
            assert not any(name.startswith("pods/") for name in rule["resources"])


def test_named_namespaces_get_roles_there_and_nowhere_else() -> None:
    objects = render(URL, "remediate.enabled=true", "watchNamespaces={shop,bank}")
    assert {
        (role["metadata"]["name"], role["metadata"]["namespace"])
        for role in of_kind(objects, "Role", "RoleBinding")
    } == {
        ("bilgepump-lease", "ops"),
        ("bilgepump-report-reader", "ops"),
        *(
            (f"bilgepump-{power}", namespace)
            for power in ("read", "remediate")
            for namespace in ("shop", "bank")
        ),
    }
    (cluster_wide,) = of_kind(objects, "ClusterRoleBinding")
    assert cluster_wide["roleRef"]["name"] == "bilgepump-reports"
    assert not of_kind(render(URL, "watchNamespaces={shop}", "reports.enabled=false"), "ClusterRoleBinding")


def test_every_binding_is_for_the_controllers_own_account() -> None:
    objects = render(URL, "remediate.enabled=true")
    (account,) = of_kind(objects, "ServiceAccount")
    bindings = of_kind(objects, "ClusterRoleBinding", "RoleBinding")
    assert len(bindings) == 4
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["metadata"]["name"], "ops")


def test_readers_of_reports_reach_that_port_and_nothing_else() -> None:
    reader = "reports.readers[0].kind=Group,reports.readers[0].name=on-call"
    objects = render(URL, reader)
    (role,) = (
        one for one in of_kind(objects, "Role") if one["metadata"]["name"] == "bilgepump-report-reader"
    )
    (rule,) = role["rules"]
    (service,) = of_kind(objects, "Service")
    ports = [port["name"] for port in service["spec"]["ports"]]
    assert rule["resources"] == ["services/proxy"]
    assert rule["resourceNames"] == [f"http:{service['metadata']['name']}:{ports[1]}"]
    assert rule["verbs"] == ["get"]
    bindings = of_kind(objects, "RoleBinding")
    assert [one["subjects"][0]["name"] for one in bindings if one["roleRef"]["name"].endswith("-reader")] == [
        "on-call"
    ]


def test_without_reports_there_is_no_port_for_them() -> None:
    objects = render(URL, "reports.enabled=false")
    (service,) = of_kind(objects, "Service")
    assert [port["name"] for port in service["spec"]["ports"]] == ["http"]
    assert not [one for one in objects if "report" in one["metadata"]["name"]]


def test_people_can_view_and_edit_policies_but_write_no_incidents() -> None:
    roles = {role["metadata"]["name"]: role for role in of_kind(render(URL), "ClusterRole")}
    view, edit = roles["bilgepump-view"], roles["bilgepump-edit"]
    assert "rbac.authorization.k8s.io/aggregate-to-view" in view["metadata"]["labels"]
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    for name in ("view", "edit", "policy-remediator"):
        for rule in roles[f"bilgepump-{name}"]["rules"]:
            if "memoryincidents" in rule["resources"]:
                assert rule["verbs"] == ["get", "list", "watch"]
    assert not any("apps" in rule["apiGroups"] for rule in edit["rules"])


def test_roles_and_admission_policy_can_be_left_out() -> None:
    objects = render(
        URL,
        "rbac.create=false",
        "admissionPolicy.enabled=false",
        "serviceAccount.create=false",
        "serviceAccount.name=mine",
    )
    kinds = {document["kind"] for document in objects}
    assert kinds == {"ConfigMap", "Deployment", "Service", "CustomResourceDefinition"}
    assert pod_of("serviceAccount.create=false", "serviceAccount.name=mine")["serviceAccountName"] == "mine"
