"""The handle on a cluster of our own."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster import processes
from tests.cluster.audit import AuditEvent, read_audit_log
from tests.cluster.binaries import Binaries
from tests.cluster.client import CommandError, KubernetesClient
from tests.cluster.components import Component
from tests.cluster.layout import Layout
from tests.cluster.node import Node
from tests.cluster.ownership import is_kept
from tests.cluster.prerequisites import search_path
from tests.cluster.waiting import Answer, wait_until

REQUEST_TIMEOUT_SECONDS = 10.0
LOG_TAIL_LINES = 15
ETCD_READY = "ready to serve client requests"


class ComponentDied(RuntimeError):
    """A program of the cluster ended by itself; the message holds the end of its log."""


class Cluster(KubernetesClient):
    """A running cluster of our own: everything `KubernetesClient` does, and what needs the machine itself."""

    def __init__(self, layout: Layout, binaries: Binaries) -> None:
        super().__init__(
            kubeconfig=layout.kubeconfig,
            kubectl=binaries["kubectl"],
            helm=binaries.paths.get("helm", Path("helm")),
            search_path=binaries.search_path(),
        )
        self.layout = layout
        self.binaries = binaries
        self.node = Node(layout.name)
        self._tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """The name it was brought up under."""
        return self.layout.name

    @property
    def node_address(self) -> str:
        """The node's address, which the machine and every pod reach."""
        return self.layout.node_address

    @property
    def state_dir(self) -> Path:
        """Everything the cluster writes, its logs among it; gone after `down`."""
        return self.layout.state_dir

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return self.layout.audit_log

    def audit_events(
        self,
        user: str | None = None,
        verbs: Collection[str] | None = None,
        since: datetime | None = None,
    ) -> tuple[AuditEvent, ...]:
        """The requests the API server has answered so far; see `audit.read_audit_log`."""
        return read_audit_log(self.audit_log, user=user, verbs=verbs, since=since)

    def get(self, path: str) -> Any:
        """The JSON answer to a GET of an API path, asked directly: a hundred times cheaper than kubectl."""
        try:
            return json.loads(self.get_text(path))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise CommandError(f"GET {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def get_text(self, path: str) -> str:
        """The answer to a GET of an API path, as text. Raises OSError, of which HTTPError is one."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self.layout.certificate("ca"))
            self._tls.load_cert_chain(self.layout.certificate("admin"), self.layout.key("admin"))
        opened = urllib.request.urlopen(
            self.layout.server + path, timeout=REQUEST_TIMEOUT_SECONDS, context=self._tls
        )
        with opened as response:
            return str(response.read().decode())

    def is_serving(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self.get_text("/readyz") == "ok"
        except OSError:
            return False

    def etcd_is_serving(self) -> bool:
        """Whether etcd has a leader, seen in its log: it listens inside the node, out of reach from here."""
        return ETCD_READY in self.layout.log("etcd").read_text(errors="replace")

    def run_in_node(self, *argv: str | Path, stdin_file: Path | None = None) -> str:
        """Run a command in the node's namespaces and return what it prints.

        Raises CommandError when it fails.
        """
        with (stdin_file or Path(os.devnull)).open("rb") as stdin:
            finished = subprocess.run(
                self.node.enter(*argv), stdin=stdin, capture_output=True, env=self._component_environment()
            )
        if finished.returncode != 0:
            raise CommandError(f"`{' '.join(map(str, argv))}` failed in the node: {finished.stderr.decode()}")
        return finished.stdout.decode()

    def import_image(self, archive: Path) -> None:
        """Make the images of a docker-archive tar available to pods (``imagePullPolicy: Never``)."""
        self._ctr("images", "import", "--digests", "-", stdin_file=archive)

    def kill_container(self, namespace: str, pod: str, container: str, signal: str = "SIGKILL") -> None:
        """Send a signal to the first process of a pod's container, as `kill` on the node would."""
        found = self.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")
        if found is None:
            raise CommandError(f"there is no pod {namespace}/{pod}")
        ids = {
            status["name"]: status["containerID"].removeprefix("containerd://")
            for status in found["status"]["containerStatuses"]
        }
        self._ctr("tasks", "kill", "--signal", signal, ids[container])

    def start_component(self, component: Component) -> None:
        """Start a program of the cluster, in the node where there is one."""
        in_node = self.layout.has_node
        processes.start(
            self.node.enter(*component.argv) if in_node else component.argv,
            # What runs in the node ends with it.
            survive=in_node or is_kept(self.name),
            record=self.layout.process_record(component.name),
            log=self.layout.log(component.name),
            environment=self._component_environment(),
        )

    def stop_component(self, name: str, *, grace_seconds: float = 10.0) -> None:
        """End a program of the cluster and wait until it is gone; `grace_seconds=0` is ``kill -9``."""
        processes.stop(self.layout.process_record(name), grace_seconds=grace_seconds)

    def component_runs(self, name: str) -> bool:
        """Whether a program of the cluster runs."""
        return processes.recorded(self.layout.process_record(name)) is not None

    def wait_for_component(
        self, name: str, description: str, condition: Callable[[], Answer | None], *, timeout_seconds: float
    ) -> Answer:
        """Wait for a condition that the program `name` brings about.

        Raises ComponentDied as soon as the program has ended, WaitTimeout when it takes too long.
        """

        def alive_and_true() -> Answer | None:
            if not self.component_runs(name):
                raise ComponentDied(f"{name} ended by itself:\n{self.log_tail(name)}")
            return condition()

        return wait_until(description, alive_and_true, timeout_seconds=timeout_seconds, poll_seconds=0.1)

    def log_tail(self, name: str) -> str:
        """The last lines of a program's log."""
        lines = self.layout.log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _ctr(self, *args: str, stdin_file: Path | None = None) -> str:
        address = ("--address", str(self.layout.containerd_socket), "--namespace", "k8s.io")
        return self.run_in_node(self.binaries["ctr"], *address, *args, stdin_file=stdin_file)

    def _component_environment(self) -> dict[str, str]:
        path = os.pathsep.join([self.binaries.search_path(), search_path()])
        return {**os.environ, "PATH": path}
