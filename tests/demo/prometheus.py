"""Prometheus as a pod, for a cluster that is not ours: the same binary and scrapes, by rights of its own."""

from __future__ import annotations

import contextlib
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import build
from tests.cluster.images import static_binary_image
from tests.cluster.waiting import wait_until

NAMESPACE = "bilgepump-demo-prometheus"
IMAGE = "bilgepump.test/prometheus:dev"
PORT = 9090
IN_POD = "/var/run/secrets/kubernetes.io/serviceaccount"


class PrometheusPod:
    """A Prometheus for the length of a `with` block; everything of it is removed afterwards."""

    def __init__(self, cluster: Any, *, keep: bool = False) -> None:
        self._cluster = cluster
        self._keep = keep
        self.url = ""

    def __enter__(self) -> PrometheusPod:
        self._import_image()
        try:
            service = self._cluster.get("/api/v1/namespaces/default/services/kubernetes")
            self._cluster.apply(*manifests(f"{service['spec']['clusterIP']}:443"))
            self._cluster.wait_for_pods(NAMESPACE, "app=prometheus", count=1, timeout_seconds=120)
        except BaseException:
            self.__exit__()
            raise
        (address,) = self._cluster.pod_ips(NAMESPACE, "app=prometheus")
        self.url = f"http://{address}:{PORT}"
        wait_until("Prometheus answers", self._answers, timeout_seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        if self._keep:
            return
        with contextlib.suppress(AssertionError):
            self._cluster.delete_namespace(NAMESPACE)
        for kind in ("clusterrole", "clusterrolebinding"):
            self._cluster.kubectl("delete", kind, NAMESPACE, "--ignore-not-found", check=False)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, asked through the API server: the pod's network is not ours."""
        pods = self._cluster.pods(NAMESPACE, "app=prometheus")
        name = pods[0]["metadata"]["name"]
        query = urllib.parse.urlencode({"query": expression})
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:{PORT}/proxy/api/v1/query?{query}"
        answer = self._cluster.get(path)
        return list(answer["data"]["result"])

    def _answers(self) -> bool:
        with contextlib.suppress(AssertionError):
            return bool(self.query("up"))
        return False

    def _import_image(self) -> None:
        binary = build(("prometheus",))["prometheus"]
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "prometheus.tar"
            static_binary_image(archive, binary, tag=IMAGE)
            self._cluster.import_image(archive)


def manifests(api_server: str) -> tuple[dict[str, Any], ...]:
    """Everything Prometheus needs; it may read nodes' metrics and find pods, nothing else."""
    named = {"name": NAMESPACE}
    inside = {"name": "prometheus", "namespace": NAMESPACE}
    subject = {"kind": "ServiceAccount", **inside}
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/metrics", "nodes/proxy"], "verbs": ["get"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": named},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": named, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": named,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": NAMESPACE},
            "subjects": [subject],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": inside,
            "data": {"prometheus.yaml": scrape_configuration(api_server)},
        },
        _pod(inside),
    )


def _pod(inside: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "prometheus",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--config.file=/etc/prometheus/prometheus.yaml", "--storage.tsdb.path=/data"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**inside, "labels": {"app": "prometheus"}},
        "spec": {
            "serviceAccountName": "prometheus",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "configuration", "configMap": {"name": "prometheus"}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    }


def scrape_configuration(api_server: str) -> str:
    """cAdvisor through the API server's node proxy, and the pods that ask for it by annotation."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    cadvisor = {
        "job_name": "kubelet",
        "scheme": "https",
        "honor_timestamps": True,
        "track_timestamps_staleness": True,
        "tls_config": {"ca_file": f"{IN_POD}/ca.crt"},
        "bearer_token_file": f"{IN_POD}/token",
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            {"target_label": "__address__", "replacement": api_server},
            {
                "source_labels": ["__meta_kubernetes_node_name"],
                "target_label": "__metrics_path__",
                "replacement": "/api/v1/nodes/$1/proxy/metrics/cadvisor",
            },
        ],
    }
    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": [
            {"source_labels": [f"{annotation}scrape"], "action": "keep", "regex": "true"},
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}port"],
                "regex": r"([^;]+);(\d+)",
                "target_label": "__address__",
                "replacement": "$1:$2",
            },
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    }
    settings = {"scrape_interval": "5s", "scrape_timeout": "5s"}
    return yaml.safe_dump({"global": settings, "scrape_configs": [cadvisor, pods]}, sort_keys=False)
