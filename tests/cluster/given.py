"""A cluster that exists already, instead of our own: from a kubeconfig, or made by kind where docker works.

Tried here only against clusters of our own; the few lines for kind could not be run, for want of docker.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.binaries import build
from tests.cluster.client import CommandError, KubernetesClient

#: The kubeconfig of a cluster to use; its current context is taken.
KUBECONFIG_VARIABLE = "BILGEPUMP_KUBECONFIG"
#: The command that loads an image archive into that cluster; the archive's path is appended.
LOAD_IMAGE_VARIABLE = "BILGEPUMP_LOAD_IMAGE"
IMAGE_LOAD_TIMEOUT_SECONDS = 600


class GivenCluster(KubernetesClient):
    """A cluster somebody else runs: there is no audit log to read and no node to enter."""

    def __init__(self, kubeconfig: Path, load_image: tuple[str, ...]) -> None:
        kubectl, helm = _program("kubectl", module="kube"), _program("helm", module="helm")
        super().__init__(kubeconfig=kubeconfig, kubectl=kubectl, helm=helm)
        self._load_image = load_image

    def import_image(self, archive: Path) -> None:
        """Load a docker-archive with the command given for it.

        Raises CommandError when there is none, or when it fails.
        """
        if not self._load_image:
            raise CommandError(
                f"nothing says how images get into this cluster: set {LOAD_IMAGE_VARIABLE} to a "
                "command, such as `minikube image load` or `kind load image-archive --name NAME`"
            )
        self._run(
            [*self._load_image, str(archive)],
            stdin=None,
            check=True,
            timeout_seconds=IMAGE_LOAD_TIMEOUT_SECONDS,
        )


def from_environment(*, accept_kubeconfig: bool = False) -> GivenCluster | None:
    """The cluster that ``BILGEPUMP_KUBECONFIG`` names, or None when it is not set.

    With `accept_kubeconfig`, for use where a person has asked for it, ``KUBECONFIG`` counts too; tests never
    take a cluster that merely happens to be configured.
    """
    variables = (KUBECONFIG_VARIABLE, "KUBECONFIG") if accept_kubeconfig else (KUBECONFIG_VARIABLE,)
    for variable in variables:
        if value := os.environ.get(variable):
            kubeconfig = Path(value).expanduser()
            if not kubeconfig.is_file():
                raise ValueError(f"{variable}: {value!r} is not a file")
            return GivenCluster(kubeconfig, tuple(shlex.split(os.environ.get(LOAD_IMAGE_VARIABLE, ""))))
    return None


def kind_works() -> bool:
    """Whether there are kind and a docker engine that answers."""
    if not (shutil.which("kind") and shutil.which("docker")):
        return False
    asked = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True)
    return asked.returncode == 0


@contextlib.contextmanager
def kind_cluster(name: str, *, keep: bool = False) -> Iterator[GivenCluster]:
    """A kind cluster for the length of a `with` block; with `keep` it stays."""
    kubeconfig = Path(tempfile.mkdtemp(prefix="bilgepump-kind-")) / "kubeconfig"
    target = ["--name", name, "--kubeconfig", str(kubeconfig)]
    try:
        subprocess.run(["kind", "create", "cluster", "--wait", "120s", *target], check=True)
        yield GivenCluster(kubeconfig, ("kind", "load", "image-archive", "--name", name))
    finally:
        if not keep:
            subprocess.run(["kind", "delete", "cluster", *target], check=True)
            shutil.rmtree(kubeconfig.parent)


def _program(name: str, *, module: str) -> Path:
    """The program on this machine, or our own, built for the purpose."""
    found = shutil.which(name)
    return Path(found) if found else build((module,))[name]
