"""Clusters for tests: started by the first test that asks, shared by all of a session, gone at its end.

A machine that cannot run one makes those tests fail and say what is missing; nothing is skipped. Run
``python -m tests.cluster build`` first where nothing is cached: it takes longer than a test may.

``BILGEPUMP_CLUSTER=NAME`` lends tests the cluster that ``python -m tests.cluster up --name NAME`` keeps, and
saves its start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.controller_image import CONTROLLER_IMAGE, controller_image
from tests.cluster.lifecycle import attach, running
from tests.cluster.ownership import ClusterInUse
from tests.cluster.prometheus import Prometheus

#: Sessions that run side by side on one machine each take the first name that is free.
MOST_SESSIONS = 20


@pytest.fixture(scope="session")
def apiserver() -> Iterator[Cluster]:
    """A real API server with etcd and the controller manager, without a node. Needs no root."""
    with ExitStack() as stack:
        yield _first_free("apiserver", stack, control_plane_only=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A whole cluster with one node."""
    if name := os.environ.get("BILGEPUMP_CLUSTER"):
        kept = attach(name)
        if kept is None:
            pytest.fail(f"BILGEPUMP_CLUSTER: the cluster {name!r} is not up")
        yield kept
        return
    with ExitStack() as stack:
        yield _first_free("tests", stack, control_plane_only=False)


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster) -> Prometheus:
    """Prometheus in `cluster`, scraping every 5 seconds. A test that stops it starts it again."""
    prometheus = Prometheus(cluster)
    prometheus.start()
    return prometheus


@pytest.fixture(scope="session")
def loaded_controller_image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The controller's image, made from the working tree and imported into `cluster`: its reference."""
    archive: Path = tmp_path_factory.mktemp("image") / "controller.tar"
    cluster.import_image(controller_image(archive))
    archive.unlink()
    return CONTROLLER_IMAGE


def _first_free(prefix: str, stack: ExitStack, *, control_plane_only: bool) -> Cluster:
    for number in range(1, MOST_SESSIONS + 1):
        try:
            return stack.enter_context(
                running(name=f"{prefix}-{number}", control_plane_only=control_plane_only)
            )
        except ClusterInUse:
            continue
    pytest.fail(f"{MOST_SESSIONS} clusters of other test sessions run on this machine")
