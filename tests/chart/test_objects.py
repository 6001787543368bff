"""The objects the chart makes."""

import json
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
        if role["metadata"]["name"]
        in {"bilgepump-read", "bilgepump-capture", "bilgepump-remediate", "bilgepump-lease"}
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
    assert set(rules) == {"read", "capture", "lease"}
    for rule in (*rules["read"], *rules["capture"]):
        ours = rule["apiGroups"] == ["bilgepump.dev"] or rule["resources"] == ["events"]
        assert ours or set(rule["verbs"]) <= {"get", "list", "watch"}


def test_logs_are_read_only_where_that_is_wanted() -> None:
    log = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
    assert log in rules_of()["capture"]
    assert log not in rules_of("capture.logs.enabled=false")["capture"]
    assert "capture" not in rules_of("capture.enabled=false")


def test_remediation_adds_only_the_rights_that_its_mechanisms_use() -> None:
    assert rules_of("remediate.enabled=true")["remediate"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets", "daemonsets"],
            "verbs": ["patch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    ]


def test_argo_rollouts_are_a_right_of_their_own() -> None:
    def of_argo(*values: str) -> dict[str, list[Any]]:
        return {
            power: [rule for rule in rules if rule["apiGroups"] == ["argoproj.io"]]
            for power, rules in rules_of(*values).items()
        }

    assert not any(of_argo("remediate.enabled=true").values())
    read = [{"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "list"]}]
    found = of_argo("rollouts.enabled=true")
    assert (found["read"], "remediate" in found) == (read, False)
    assert of_argo("rollouts.enabled=true", "remediate.enabled=true")["remediate"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["patch"]}
    ]


def test_author_is_asked_for_rollouts_that_are_named_or_looked_at() -> None:
    def asked(*values: str) -> list[bool]:
        """Whether each question about Rollouts is for policies that select by labels, too."""
        (policy,) = (
            one
            for one in of_kind(render(URL, *values), "ValidatingAdmissionPolicy")
            if one["metadata"]["name"] == "bilgepump-remediate-policies"
        )
        texts = [one["expression"] for one in policy["spec"]["validations"]]
        rollouts = [text for text in texts if "authorizer.group('argoproj.io').resource('rollouts')" in text]
        assert all("workload.kind == 'Rollout'" in text for text in rollouts)
        return ["!has(object.spec.target.workloads)" not in text for text in rollouts]

    assert (asked(), asked("rollouts.enabled=true")) == ([False], [True])


def test_controller_never_gets_secrets_commands_or_wildcards() -> None:
    for rules in rules_of("remediate.enabled=true").values():
        for rule in rules:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert not {"secrets", "configmaps"} & set(rule["resources"])
            assert "nodes" not in rule["resources"] or rule["verbs"] == ["list"]
            below_pods = {name for name in rule["resources"] if name.startswith("pods/")}
            assert below_pods <= {"pods/log", "pods/eviction"}


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
            for power in ("read", "capture", "remediate")
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
    assert len(bindings) == 5
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
    incidents = roles["bilgepump-approver"]["rules"][1]
    assert incidents["verbs"] == ["get", "list", "watch", "patch", "approve"]


def test_roles_and_admission_policy_can_be_left_out() -> None:
    objects = render(
        URL,
        "rbac.create=false",
        "admissionPolicy.enabled=false",
        "serviceAccount.create=false",
        "serviceAccount.name=mine",
    )
    kinds = {document["kind"] for document in objects}
    assert kinds == {"ConfigMap", "Deployment", "Service", "CustomResourceDefinition", "Pod"}
    assert pod_of("serviceAccount.create=false", "serviceAccount.name=mine")["serviceAccountName"] == "mine"


CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def test_can_be_installed_with_rights_in_a_few_namespaces_only() -> None:
    objects = render(
        URL,
        "watchNamespaces={shop,bank}",
        "remediate.enabled=true",
        "crds.install=false",
        "admissionPolicy.enabled=false",
        "reports.enabled=false",
        "rbac.people=false",
    )
    assert not of_kind(objects, *CLUSTER_WIDE)
    assert {document["metadata"]["namespace"] for document in objects} == {"ops", "shop", "bank"}


def test_monitors_find_the_port_of_metrics() -> None:
    objects = render(
        URL,
        "serviceMonitor.enabled=true",
        "serviceMonitor.labels.release=kube-prometheus-stack",
        "podMonitor.enabled=true",
        "podMonitor.namespace=monitoring",
    )
    (service,) = of_kind(objects, "Service")
    (deployment,) = of_kind(objects, "Deployment")
    (of_service,) = of_kind(objects, "ServiceMonitor")
    (of_pod,) = of_kind(objects, "PodMonitor")
    assert of_service["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert of_service["metadata"]["namespace"] == "ops"
    assert of_pod["metadata"]["namespace"] == "monitoring"
    (endpoint,) = of_service["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["path"], endpoint["honorLabels"]) == ("/metrics", True)
    (endpoint,) = of_pod["spec"]["podMetricsEndpoints"]
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    for monitor, labels in ((of_service, service["metadata"]), (of_pod, template["metadata"])):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels["labels"].items()
        assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["ops"]}


def test_disruption_budget_never_keeps_a_node_from_being_drained() -> None:
    assert not of_kind(render(URL), "PodDisruptionBudget")
    (budget,) = of_kind(render(URL, "podDisruptionBudget.enabled=true"), "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def network_policy(*settings: str) -> dict[str, Any]:
    (policy,) = of_kind(render(*settings, "networkPolicy.enabled=true"), "NetworkPolicy")
    spec: dict[str, Any] = policy["spec"]
    return spec


def test_network_policy_opens_the_chart_s_own_ports_only() -> None:
    assert not of_kind(render(URL), "NetworkPolicy")
    open_to_all = network_policy(URL)
    assert open_to_all["policyTypes"] == ["Ingress"]
    assert open_to_all["ingress"] == [{"ports": [{"port": "http"}]}, {"ports": [{"port": "reports"}]}]
    label = r"namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=monitoring"
    narrow = network_policy(URL, f"networkPolicy.metricsFrom[0].{label}", "reports.enabled=false")
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert narrow["ingress"] == [{"ports": [{"port": "http"}], "from": [peer]}]


def test_network_policy_lets_the_controller_reach_what_it_needs() -> None:
    def ports(*settings: str) -> list[set[int]]:
        rules = network_policy(*settings, "networkPolicy.egress.enabled=true")["egress"]
        return [{port["port"] for port in rule["ports"]} for rule in rules]

    assert ports(URL) == [{53}, {443, 6443, 9090}, {6060}]
    assert ports(URL, "capture.enabled=false") == [{53}, {443, 6443, 9090}]
    assert ports("prometheus.url=http://prometheus.monitoring") == [{53}, {80, 443, 6443}, {6060}]
    assert ports("prometheus.url=https://mimir.example.com/prometheus")[1] == {443, 6443}
    assert ports(
        URL,
        "metricsSources[0].name=mimir",
        "metricsSources[0].url=http://[fd00::1]:8080",
        "capture.enabled=false",
    ) == [{53}, {443, 6443, 8080, 9090}]


def test_pod_takes_what_pods_usually_take() -> None:
    pod = pod_of(
        "extraArgs={--verbose}",
        "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy:3128",
        "extraEnvFrom[0].secretRef.name=more",
        "initContainers[0].name=wait,initContainers[0].image=busybox",
        "extraContainers[0].name=beside,extraContainers[0].image=busybox",
        "extraVolumes[0].name=token,extraVolumes[0].secret.secretName=token",
        "extraVolumeMounts[0].name=token,extraVolumeMounts[0].mountPath=/token",
        "topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,"
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
        "hostAliases[0].ip=10.0.0.1,hostAliases[0].hostnames={prometheus}",
        "dnsConfig.options[0].name=ndots",
        "dnsPolicy=Default",
        "tolerations[0].operator=Exists",
        "affinity.nodeAffinity.x=y",
        "nodeSelector.disk=ssd",
        "priorityClassName=system-cluster-critical",
        "runtimeClassName=gvisor",
        "imagePullSecrets[0].name=registry",
        "podSecurityContext.fsGroup=1000",
        "securityContext.seLinuxOptions.level=s0",
    )
    controller, beside = pod["containers"]
    assert controller["args"][-1] == "--verbose"
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in controller["env"]
    assert controller["envFrom"] == [{"secretRef": {"name": "more"}}]
    assert {"name": "token", "mountPath": "/token"} in controller["volumeMounts"]
    assert {"name": "token", "secret": {"secretName": "token"}} in pod["volumes"]
    assert (beside["name"], pod["initContainers"][0]["name"]) == ("beside", "wait")
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "zone"
    assert pod["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["prometheus"]}]
    assert pod["dnsConfig"] == {"options": [{"name": "ndots"}]}
    assert (pod["dnsPolicy"], pod["runtimeClassName"]) == ("Default", "gvisor")
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {"x": "y"}}
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert (pod["securityContext"]["fsGroup"], pod["securityContext"]["runAsNonRoot"]) == (1000, True)
    assert controller["securityContext"]["readOnlyRootFilesystem"] is True
    assert controller["securityContext"]["seLinuxOptions"] == {"level": "s0"}


def test_common_labels_and_annotations_are_on_every_object() -> None:
    objects = render(
        URL,
        "remediate.enabled=true",
        "evidence.persistence.enabled=true",
        "serviceMonitor.enabled=true",
        "podMonitor.enabled=true",
        "podDisruptionBudget.enabled=true",
        "networkPolicy.enabled=true",
        "reports.readers[0].kind=Group,reports.readers[0].name=on-call",
        "service.annotations.mine=yes,serviceAccount.annotations.mine=yes,deploymentAnnotations.mine=yes",
        "commonLabels.team=ops",
        "commonAnnotations.contact=ops",
    )
    for document in objects:
        if document["kind"] != "Pod":
            assert document["metadata"]["labels"]["team"] == "ops", document["metadata"]["name"]
        assert document["metadata"]["annotations"]["contact"] == "ops", document["metadata"]["name"]
    for kind in ("Service", "ServiceAccount", "Deployment"):
        (document,) = of_kind(objects, kind)
        assert document["metadata"]["annotations"]["mine"] == "yes"


def test_iam_role_of_a_service_account() -> None:
    """https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html"""
    role = "arn:aws:iam::210987654321:role/bilgepump"
    setting = rf"serviceAccount.annotations.eks\.amazonaws\.com/role-arn={role}"
    (account,) = of_kind(render(URL, setting), "ServiceAccount")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}


def test_extra_objects_are_rendered() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-token"}}
    text = "kind: ConfigMap\nmetadata: {name: {{ .Values.nameOverride }}-text}\n"
    given = f"extraObjects={json.dumps([secret, text])}"
    rendered = helm("template", "bilgepump", str(CHART), "--set-json", given, "--set", "nameOverride=mine")
    objects = [document for document in yaml.safe_load_all(rendered) if document]
    assert "bilgepump-token" in {one["metadata"]["name"] for one in of_kind(objects, "Secret")}
    assert "mine-text" in {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}


def test_helm_test_is_no_endpoint_of_the_service_and_meets_the_restricted_standard() -> None:
    objects = render(URL)
    (pod,) = of_kind(objects, "Pod")
    (service,) = of_kind(objects, "Service")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["automountServiceAccountToken"] is False
    (container,) = pod["spec"]["containers"]
    (of_controller,) = pod_of()["containers"]
    assert container["image"] == of_controller["image"]
    assert container["securityContext"] == of_controller["securityContext"]
    assert pod["spec"]["securityContext"] == pod_of()["securityContext"]
