"""The controller itself, run with the rights its chart gives it, against a real API server."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.admission.conftest import helm_on
from tests.chart.rendering import CHART
from tests.cluster.audit import AuditEvent, service_account_user
from tests.cluster.cluster import Cluster
from tests.policy.corpus import GOOD

pytestmark = pytest.mark.apiserver

SMALLEST = next(path for path in GOOD if path.stem == "smallest")
NOBODY_THERE = "prometheus.url=http://127.0.0.1:9"
SWEEPS = 3


@contextmanager
def controller(cluster: Cluster, release: str, folder: Path) -> Iterator[None]:
    """The controller as the release would run it, outside of a pod, until the end of the block."""
    text = cluster.kubectl(
        "get", "configmap", release, "-n", "ops", "-o", r"jsonpath={.data.settings\.yaml}"
    ).stdout
    settings = yaml.safe_load(text)
    settings["evidence"]["directory"] = str(folder / "evidence")
    settings["http"] = {"address": "127.0.0.1", "port": free_port()}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig_of(cluster, release, folder)),
        "POD_NAMESPACE": "ops",
        "DEPLOYMENT_NAME": release,
        "LOGNAME": "bilgepump",
    }
    command = [sys.executable, "-m", "controller", "run", "--config", str(folder / "settings.yaml")]
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            yield
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
        finally:
            process.terminate()
            process.wait(timeout=30)


def kubeconfig_of(cluster: Cluster, account: str, folder: Path) -> Path:
    """A kubeconfig with the token of the ServiceAccount instead of the administrator's certificate."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("create", "token", account, "-n", "ops").stdout.strip()
    document["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "values",
    [
        pytest.param("remediate.enabled=false", id="in all namespaces"),
        pytest.param("watchNamespaces={shop}", id="in named namespaces"),
    ],
)
def test_controllers_rights_are_enough_for_its_sweeps(
    installed: Cluster, values: str, tmp_path: Path
) -> None:
    release = "bilgepump-rights"
    without = "crds.install=false,admissionPolicy.enabled=false,sweepInterval=1s"
    helm_on(
        installed, "install", "--set", without, "--set", NOBODY_THERE, "--set", values, release, str(CHART)
    )
    installed.kubectl("apply", "-f", str(SMALLEST))

    user = service_account_user("ops", release)
    before = len(installed.audit_events(user=user))

    def requests() -> tuple[AuditEvent, ...]:
        return installed.audit_events(user=user)[before:]

    def swept() -> bool:
        sweeps = [
            event for event in requests() if (event.verb, event.resource) == ("list", "memoryincidents")
        ]
        return len(sweeps) >= SWEEPS

    try:
        with controller(installed, release, tmp_path):
            installed.wait_until(f"{SWEEPS} sweeps are done", swept, timeout_seconds=60)
            installed.kubectl(
                "wait", "mempol/smallest", "-n", "shop", "--for=condition=Accepted", "--timeout=30s"
            )
    finally:
        helm_on(installed, "uninstall", release)
        installed.kubectl("delete", "-f", str(SMALLEST))

    made = requests()
    assert [event for event in made if event.status_code == 403] == []
    assert {event.kind_of_write for event in made if event.verb not in {"get", "list", "watch"}} <= {
        "create leases.coordination.k8s.io",
        "patch leases.coordination.k8s.io",
        "patch memorypolicies.bilgepump.dev/status",
        "create events",
        "patch events",
    }
