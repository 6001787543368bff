"""Argo Rollouts' own controller, from source, beside a cluster's other programs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from tests.cluster.binaries import build, source_folder
from tests.cluster.cluster import Cluster
from tests.cluster.components import Component

NAME = "rollouts-controller"
DEFINITIONS = ("rollout", "analysis-run", "analysis-template", "cluster-analysis-template", "experiment")


@contextlib.contextmanager
def argo_rollouts(cluster: Cluster) -> Iterator[None]:
    """Its definitions and its controller, for the length of a `with` block.

    Raises BuildError, ComponentDied or WaitTimeout.
    """
    program = build(("rollouts",))[NAME]
    folder = source_folder("rollouts", "github.com/argoproj/argo-rollouts") / "manifests" / "crds"
    files = [f"--filename={folder / f'{name}-crd.yaml'}" for name in DEFINITIONS]
    # Server-side: they are too long for the annotation that a client-side apply would leave.
    cluster.kubectl("apply", "--server-side", *files)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
    metrics, health = _free_port(), _free_port()
    argv = (
        str(program),
        f"--kubeconfig={cluster.kubeconfig}",
        "--leader-elect=false",
        f"--metricsPort={metrics}",
        f"--healthzPort={health}",
    )
    cluster.start_component(Component(name=NAME, argv=argv))
    try:
        yield
    finally:
        cluster.stop_component(NAME)
        cluster.kubectl("delete", "--wait=false", *files)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
