"""A real Prometheus on the node's network, where the machine and every pod reach it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.components import Component
from tests.cluster.layout import Layout

PORT = 9090
REQUEST_TIMEOUT_SECONDS = 10.0
START_TIMEOUT_SECONDS = 60.0
COMPONENT = "prometheus"

#: What Prometheus may do: find nodes and pods, and read the kubelet's metrics.
RBAC: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "prometheus"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "prometheus"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "prometheus"}],
    },
)


def scrape_configuration(layout: Layout, *, scrape_interval_seconds: int) -> str:
    """Prometheus' configuration: the kubelet's cAdvisor, and the pods that ask for it by annotation.

    cAdvisor's samples carry their own time, which is kept. ``track_timestamps_staleness`` then ends a series
    as soon as its container is gone; without it, it lingers for five minutes beside its successor's
    (https://github.com/prometheus/prometheus/pull/13060). Job and path are named as kube-prometheus does.
    """
    discovery = {"kubeconfig_file": str(layout.component_kubeconfig("prometheus"))}
    cadvisor = {
        "job_name": "kubelet",
        "scheme": "https",
        "metrics_path": "/metrics/cadvisor",
        "honor_timestamps": True,
        "track_timestamps_staleness": True,
        "tls_config": {
            "ca_file": str(layout.certificate("ca")),
            "cert_file": str(layout.certificate("prometheus")),
            "key_file": str(layout.key("prometheus")),
        },
        "kubernetes_sd_configs": [{"role": "node", **discovery}],
        "relabel_configs": [
            _label("node", "__meta_kubernetes_node_name"),
            _label("metrics_path", "__metrics_path__"),
        ],
    }
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", **discovery}],
        "relabel_configs": [
            {"source_labels": [f"{annotation}scrape"], "action": "keep", "regex": "true"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "action": "keep", "regex": "Running"},
            _label("__metrics_path__", f"{annotation}path", regex="(.+)"),
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}port"],
                "regex": r"([^;]+);(\d+)",
                "target_label": "__address__",
                "replacement": "$1:$2",
            },
            _label("namespace", "__meta_kubernetes_namespace"),
            _label("pod", "__meta_kubernetes_pod_name"),
        ],
    }
    interval = f"{scrape_interval_seconds}s"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [cadvisor, pods],
        },
        sort_keys=False,
    )


class Prometheus:
    """A Prometheus of a cluster of our own; it can be taken down and brought back with its data.

    Several run beside each other when each has a name and a port of its own; one that `scrapes` nothing
    answers every query with nothing.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        name: str = COMPONENT,
        port: int = PORT,
        scrapes: bool = True,
        scrape_interval_seconds: int = 5,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._scrapes = scrapes
        self._scrape_interval_seconds = scrape_interval_seconds
        self._address = f"{cluster.node_address}:{port}"
        self.url = f"http://{self._address}"

    def start(self) -> None:
        """Start it, and return when it answers. Does nothing when it runs already."""
        cluster = self._cluster
        if cluster.component_runs(self._name):
            return
        cluster.apply(*RBAC)
        configuration = cluster.layout.config(f"{self._name}.yaml")
        configuration.write_text(self._configuration())
        flags = (
            f"--config.file={configuration}",
            f"--storage.tsdb.path={cluster.state_dir / self._name}",
            f"--web.listen-address={self._address}",
        )
        cluster.start_component(Component(name=self._name, argv=(str(cluster.binaries[COMPONENT]), *flags)))
        cluster.wait_for_component(
            self._name, f"{self._name} is ready", self.is_ready, timeout_seconds=START_TIMEOUT_SECONDS
        )

    def stop(self) -> None:
        """Stop it; its data stays for the next `start`."""
        self._cluster.stop_component(self._name)

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=REQUEST_TIMEOUT_SECONDS):
                return True
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, each with `metric` and `value` (time, value as text).

        Raises ValueError with Prometheus' own words when it refuses the expression.
        """
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError(f"{expression!r}: {json.load(error).get('error')}") from error
        return list(answer["data"]["result"])

    def wait_for_series(self, expression: str, *, timeout_seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until a query has an answer, and return it."""
        return self._cluster.wait_until(
            f"Prometheus knows {expression}",
            lambda: self.query(expression),
            timeout_seconds=timeout_seconds,
        )

    def _configuration(self) -> str:
        if not self._scrapes:
            return ""
        return scrape_configuration(
            self._cluster.layout, scrape_interval_seconds=self._scrape_interval_seconds
        )


def _label(target: str, source: str, *, regex: str = "(.*)") -> dict[str, Any]:
    return {"source_labels": [source], "target_label": target, "regex": regex}
