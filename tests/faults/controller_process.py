"""The real controller as the chart would run it, outside of a pod: rights and settings are the chart's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.chart.rendering import CHART
from tests.cluster.binaries import build
from tests.cluster.cluster import Cluster

NAMESPACE, RELEASE = "ops", "bilgepump-trial"
STOP_SECONDS = 30.0
NOTHING: Mapping[str, Any] = MappingProxyType({})


def helm_on(apiserver: Cluster, *arguments: str) -> None:
    """Helm on this API server, in the controller's namespace."""
    program = build(("helm",))["helm"]
    environment = os.environ | {"KUBECONFIG": str(apiserver.kubeconfig)}
    finished = subprocess.run(
        [program, *arguments, "--namespace", NAMESPACE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr


@contextmanager
def release(cluster: Cluster, *values: str) -> Iterator[None]:
    """The chart is installed with these `--set` values until the end of the block, without definitions."""
    given = [part for value in values for part in ("--set", value)]
    without = "crds.install=false,admissionPolicy.enabled=false"
    helm_on(cluster, "install", "--create-namespace", "--set", without, *given, RELEASE, str(CHART))
    try:
        yield
    finally:
        helm_on(cluster, "uninstall", RELEASE)


class ControllerProcess:
    """One controller. Ended by the one who started it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self.folder = folder

    @property
    def log(self) -> str:
        """All that it has written, also before it was started anew in the same folder."""
        return (self.folder / "log").read_text()

    @property
    def runs(self) -> bool:
        """Whether it lives, stopped or not."""
        return self._process.poll() is None

    def kill(self) -> None:
        """`kill -9`, and it is gone."""
        self._process.kill()
        self._process.wait(timeout=STOP_SECONDS)

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As the kubelet ends a pod, and it is gone."""
        self.wake()
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def start_controller(
    cluster: Cluster,
    folder: Path,
    *,
    server: str = "",
    environment: Mapping[str, str] = NOTHING,
    settings: Mapping[str, Any] = NOTHING,
) -> ControllerProcess:
    """
    The controller of the installed release, with `folder` as its disk.

    `server` is what it takes for the API server; empty: the real one. `settings` replace whole sections of
    the release's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        **environment,
        "KUBECONFIG": str(kubeconfig_of(cluster, folder, server)),
        "POD_NAMESPACE": NAMESPACE,
        "POD_NAME": folder.name,
        "DEPLOYMENT_NAME": RELEASE,
        "LOGNAME": "bilgepump",
    }
    command = [
        sys.executable,
        "-m",
        "controller",
        "run",
        "--config",
        str(settings_of(cluster, folder, settings)),
    ]
    with (folder / "log").open("ab") as log:
        return ControllerProcess(subprocess.Popen(command, env=environment, stderr=log), folder)


@contextmanager
def running_controller(cluster: Cluster, folder: Path, **how: Any) -> Iterator[ControllerProcess]:
    """The same until the end of the block, at which it must still be running."""
    controller = start_controller(cluster, folder, **how)
    try:
        yield controller
        assert controller.runs, controller.log[-3000:]
    finally:
        controller.stop()


def settings_of(cluster: Cluster, folder: Path, changes: Mapping[str, Any] = NOTHING) -> Path:
    """The settings file of the release, with a port and a folder that are free here."""
    output = r"jsonpath={.data.settings\.yaml}"
    text = cluster.kubectl("get", "configmap", RELEASE, "-n", NAMESPACE, "-o", output).stdout
    settings = yaml.safe_load(text)
    settings["evidence"]["directory"] = str(folder / "evidence")
    settings["http"] = {"address": "127.0.0.1", "port": free_port()}
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump({**settings, **changes}))
    return path


def kubeconfig_of(cluster: Cluster, folder: Path, server: str = "") -> Path:
    """A kubeconfig with the token of the ServiceAccount instead of the administrator's certificate."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("create", "token", RELEASE, "-n", NAMESPACE).stdout.strip()
    document["users"][0]["user"] = {"token": token}
    if server:
        document["clusters"][0]["cluster"] = {"server": server}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def free_port() -> int:
    """A port of loopback on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
