"""What a node would do, where there is none: it is there, and pods become ready."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import urllib3

from tests.cluster.cluster import Cluster

IMAGE_ID = "registry.example/api@sha256:" + "a" * 64
ADDRESS = "10.0.0.7"
"""Of every pod; nobody is there."""


class Kubelet:
    """Says of every pod that it is ready, as a kubelet would: there is no node here."""

    def __init__(self, cluster: Cluster, namespace: str, address: str = ADDRESS) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._address = address
        self._pool = urllib3.PoolManager(ssl_context=tls_of(cluster))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Kubelet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            for pod in self._cluster.pods(self._namespace):
                if pod["status"]["phase"] == "Pending":
                    self._make_ready(pod)

    def _make_ready(self, pod: dict[str, Any]) -> None:
        name, now = pod["metadata"]["name"], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        running = {
            "name": "app", "image": "registry.example/api:1", "imageID": IMAGE_ID,
            "ready": True, "started": True, "restartCount": 0, "state": {"running": {"startedAt": now}},
        }  # fmt: skip
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": now}]
        status = {
            "phase": "Running",
            "podIP": self._address,
            "conditions": ready,
            "containerStatuses": [running],
        }
        self._pool.request(
            "PATCH",
            f"{self._cluster.layout.server}/api/v1/namespaces/{self._namespace}/pods/{name}/status",
            headers={"Content-Type": "application/merge-patch+json"},
            body=json.dumps({"status": status}),
        )


@contextmanager
def a_node(cluster: Cluster) -> Iterator[None]:
    """A node that says that it is ready, until the end of the block: nothing is ever scheduled to it."""
    pool, gone = urllib3.PoolManager(ssl_context=tls_of(cluster)), threading.Event()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a-node"}}
    cluster.apply(node)

    def beat() -> None:
        while not gone.wait(2):
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
            pool.request(
                "PATCH",
                f"{cluster.layout.server}/api/v1/nodes/a-node/status",
                headers={"Content-Type": "application/strategic-merge-patch+json"},
                body=json.dumps({"status": {"conditions": [ready]}}),
            )

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join(timeout=10)
        cluster.kubectl("delete", "node", "a-node", "--wait=false")


def tls_of(cluster: Cluster, *, as_administrator: bool = True) -> ssl.SSLContext:
    """TLS towards the API server: as its administrator, or as whoever shows a token."""
    context = ssl.create_default_context(cafile=cluster.layout.certificate("ca"))
    if as_administrator:
        context.load_cert_chain(cluster.layout.certificate("admin"), cluster.layout.key("admin"))
    return context
