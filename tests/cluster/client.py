"""What tests and the demo do with any cluster: kubectl, helm, reading objects, waiting for states."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.cluster.waiting import Answer, wait_until

COMMAND_TIMEOUT_SECONDS = 120.0
#: API groups of the kinds that can be waited for by name.
WORKLOAD_PATHS = {
    "deployment": "/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
    "statefulset": "/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}",
    "daemonset": "/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}",
}


class CommandError(AssertionError):
    """A command against the cluster failed; the message holds the command and what it printed."""


class KubernetesClient:
    """A cluster, seen through a kubeconfig."""

    def __init__(self, *, kubeconfig: Path, kubectl: Path, helm: Path, search_path: str = "") -> None:
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._helm = helm
        self._search_path = search_path

    def environment(self) -> dict[str, str]:
        """Environment variables with which every program finds this cluster, and kubectl and helm."""
        path = os.pathsep.join(
            part for part in (self._search_path, os.environ.get("PATH", os.defpath)) if part
        )
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def kubectl(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl. Raises CommandError when it fails, unless `check` is False."""
        return self._run(
            [str(self._kubectl), *args], stdin=stdin, check=check, timeout_seconds=timeout_seconds
        )

    def helm(
        self,
        *args: str,
        stdin: str | None = None,
        check: bool = True,
        timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run helm. Raises CommandError when it fails, unless `check` is False."""
        return self._run([str(self._helm), *args], stdin=stdin, check=check, timeout_seconds=timeout_seconds)

    def get(self, path: str) -> Any:
        """The JSON answer to a GET of an API path, such as ``/api/v1/nodes``; None when it is 404."""
        answer = self.kubectl("get", "--raw", path, check=False)
        if answer.returncode == 0:
            return json.loads(answer.stdout)
        if "NotFound" in answer.stderr:
            return None
        raise CommandError(f"GET {path}: {answer.stderr.strip()}")

    def apply(self, *manifests: dict[str, Any], server_side: bool = False) -> None:
        """Apply objects given as dicts."""
        objects = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        flags = ["--server-side"] if server_side else []
        self.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(objects))

    def create_namespace(self, name: str) -> None:
        """Create a namespace and wait until pods can be created in it."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.wait_until(
            f"the default ServiceAccount of the namespace {name} exists",
            lambda: self.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"),
            timeout_seconds=30,
        )

    def delete_namespace(self, name: str, *, timeout_seconds: float = 60) -> None:
        """Delete a namespace with all that is in it, and wait until it is gone."""
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
        self.wait_until(
            f"the namespace {name} is gone",
            lambda: self.get(f"/api/v1/namespaces/{name}") is None,
            timeout_seconds=timeout_seconds,
        )

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The pods of a namespace that match a label selector."""
        query = urlencode({"labelSelector": selector})
        answer = self.get(f"/api/v1/namespaces/{namespace}/pods?{query}")
        return list(answer["items"])

    def pod_ips(self, namespace: str, selector: str = "") -> tuple[str, ...]:
        """The addresses of the ready pods that match, sorted."""
        pods = self.pods(namespace, selector)
        return tuple(sorted(pod["status"]["podIP"] for pod in pods if is_ready(pod)))

    def wait_until(
        self, description: str, condition: Callable[[], Answer | None], *, timeout_seconds: float = 60
    ) -> Answer:
        """Wait for any condition; see `waiting.wait_until`."""
        return wait_until(description, condition, timeout_seconds=timeout_seconds)

    def wait_for_pods(
        self, namespace: str, selector: str, *, count: int, timeout_seconds: float = 90
    ) -> list[dict[str, Any]]:
        """Wait until exactly `count` pods match and all of them are ready; and return them."""

        def all_ready() -> list[dict[str, Any]] | None:
            pods = self.pods(namespace, selector)
            return pods if len(pods) == count and all(is_ready(pod) for pod in pods) else None

        description = f"{count} ready pods match {selector!r} in {namespace}"
        return self.wait_until(description, all_ready, timeout_seconds=timeout_seconds)

    def wait_for_rollout(
        self, kind: str, name: str, namespace: str, *, timeout_seconds: float = 120
    ) -> dict[str, Any]:
        """Wait until a Deployment, StatefulSet or DaemonSet runs its newest template; and return it."""
        path = WORKLOAD_PATHS[kind.lower()].format(namespace=namespace, name=name)

        def rolled_out() -> dict[str, Any] | None:
            workload: dict[str, Any] | None = self.get(path)
            return workload if workload and is_rolled_out(workload) else None

        description = f"{kind} {namespace}/{name} is rolled out"
        return self.wait_until(description, rolled_out, timeout_seconds=timeout_seconds)

    def _run(
        self, argv: Sequence[str], *, stdin: str | None, check: bool, timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=self.environment(),
        )
        if check and finished.returncode != 0:
            command = " ".join([Path(argv[0]).name, *argv[1:]])
            raise CommandError(f"`{command}` failed:\n{finished.stderr.strip() or finished.stdout.strip()}")
        return finished


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the pod serves: its Ready condition is true and it is not being deleted."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def is_rolled_out(workload: dict[str, Any]) -> bool:
    """Whether every replica of the workload runs its newest template and is ready, and no old one is left."""
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(
            status.get("updatedNumberScheduled", 0) == wanted and status.get("numberReady", 0) == wanted
        )
    wanted = workload["spec"].get("replicas", 1)
    counts = (status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas"))
    return all(count == wanted for count in counts)
