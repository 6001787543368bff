"""Bringing a cluster up and taking it down, whatever happens in between."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import socket
import subprocess
from collections.abc import Iterator

from tests.cluster import components, ownership, processes
from tests.cluster.binaries import CONTROL_PLANE_MODULES, Binaries, build
from tests.cluster.cluster import Cluster
from tests.cluster.configuration import write_configuration
from tests.cluster.images import write_pause_image
from tests.cluster.interruption import terminating, undisturbed
from tests.cluster.layout import LOOPBACK, NODE_NAME, Layout, clusters_root, load_layout, state_dir
from tests.cluster.leftovers import interfaces_of, leftovers, mounts_of
from tests.cluster.node import Node
from tests.cluster.pki import write_pki
from tests.cluster.prerequisites import NODE_PACKAGES, require_linux_root, require_packages
from tests.cluster.waiting import wait_until

COMPONENT_TIMEOUT_SECONDS = 60.0


class LeftoverError(RuntimeError):
    """Something is still there after a cluster went down; the message lists it."""


def up(
    *, name: str = "dev", index: int | None = None, control_plane_only: bool = False, keep: bool = False
) -> Cluster:
    """Build what is missing, bring a cluster up, and return when its node is Ready.

    `index` (0 to 49) chooses the network 10.(77+index).0.0/16; by default the first free one. With
    `control_plane_only` there are etcd, API server and controller manager on loopback, no node, and root is
    not needed. What an earlier run of this name left is removed first; if this run fails, nothing stays.

    The cluster belongs to this process and ends with it at the latest, however that ends; call this in the
    main thread. With `keep` it stays until someone calls `down`.

    Raises PrerequisiteError, BuildError, ClusterInUse, NodeError, ComponentDied or WaitTimeout.
    """
    if not control_plane_only:
        require_linux_root("a cluster node")
        require_packages(NODE_PACKAGES)
    binaries = build(CONTROL_PLANE_MODULES) if control_plane_only else build()
    ownership.claim(name, kept_too=False)
    try:
        _remove(name)
        state_dir(name).mkdir(parents=True)
        if keep:
            ownership.mark_kept(name)
        cluster = _control_plane(name, binaries) if control_plane_only else _whole(name, index, binaries)
    except BaseException:
        with undisturbed():
            down(name)
        raise
    if keep:
        ownership.release(name)
    return cluster


def down(name: str) -> None:
    """Take a cluster down and remove all of it. Does nothing where there is none.

    Raises ClusterInUse when it belongs to another living process, LeftoverError when something stays.
    """
    if not ownership.owns(name):
        ownership.claim(name, kept_too=True)
    try:
        _remove(name)
    finally:
        ownership.release(name)
    if remains := leftovers(name):
        raise LeftoverError(f"the cluster {name} is down, but this is left: {'; '.join(remains)}")


def attach(name: str) -> Cluster | None:
    """The handle on a cluster that runs, whoever brought it up; None when there is none."""
    layout = load_layout(name)
    if layout is None:
        return None
    cluster = Cluster(layout, build() if layout.has_node else build(CONTROL_PLANE_MODULES))
    return cluster if cluster.is_serving() else None


@contextlib.contextmanager
def running(
    *, name: str = "dev", index: int | None = None, control_plane_only: bool = False, keep: bool = False
) -> Iterator[Cluster]:
    """A cluster for the length of a `with` block; gone afterwards, also on failure, Ctrl-C and SIGTERM.

    With `keep` it stays, in any case. Arguments and errors are those of `up`.
    """
    with terminating():
        cluster = up(name=name, index=index, control_plane_only=control_plane_only, keep=keep)
        try:
            yield cluster
        finally:
            if not keep:
                with undisturbed():
                    down(name)


def names() -> list[str]:
    """The clusters that have anything on this machine, running or not."""
    root = clusters_root()
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.exists() else []


def _control_plane(name: str, binaries: Binaries) -> Cluster:
    api_port, etcd_port, etcd_peer_port = _free_ports(3)
    layout = Layout(
        name=name, index=None, api_port=api_port, etcd_port=etcd_port, etcd_peer_port=etcd_peer_port
    )
    cluster = _prepared(layout, binaries)
    _start_control_plane(cluster)
    return cluster


def _whole(name: str, index: int | None, binaries: Binaries) -> Cluster:
    node = Node(name)
    node.start(binaries["pause"], survive=ownership.is_kept(name))
    layout = Layout(name=name, index=node.take_network(index))
    node.connect(layout)
    cluster = _prepared(layout, binaries)
    cluster.start_component(components.containerd(layout, binaries))
    _start_control_plane(cluster)
    for component in (components.scheduler, components.kubelet, components.proxy):
        cluster.start_component(component(layout, binaries))
    archive = layout.state_dir / "pause.tar"
    write_pause_image(archive, binaries["pause"])
    cluster.wait_for_component(
        "containerd", "containerd serves", layout.containerd_socket.exists, timeout_seconds=30
    )
    cluster.import_image(archive)
    cluster.wait_for_component(
        "kubelet",
        f"the node {NODE_NAME} is Ready",
        lambda: _node_is_ready(cluster),
        timeout_seconds=COMPONENT_TIMEOUT_SECONDS,
    )
    return cluster


def _prepared(layout: Layout, binaries: Binaries) -> Cluster:
    write_pki(layout, datetime.datetime.now(datetime.UTC))
    write_configuration(layout)
    layout.save()
    return Cluster(layout, binaries)


def _start_control_plane(cluster: Cluster) -> None:
    """One after the other: a client that finds no server yet waits seconds before it tries again."""
    layout, binaries = cluster.layout, cluster.binaries
    cluster.start_component(components.etcd(layout, binaries))
    cluster.wait_for_component(
        "etcd", "etcd serves", cluster.etcd_is_serving, timeout_seconds=COMPONENT_TIMEOUT_SECONDS
    )
    cluster.start_component(components.apiserver(layout, binaries))
    cluster.wait_for_component(
        "kube-apiserver",
        "the API server is ready",
        cluster.is_serving,
        timeout_seconds=COMPONENT_TIMEOUT_SECONDS,
    )
    cluster.start_component(components.controller_manager(layout, binaries))
    cluster.wait_for_component(
        "kube-controller-manager",
        "ServiceAccounts are being made",
        lambda: cluster.get("/api/v1/namespaces/default/serviceaccounts/default"),
        timeout_seconds=COMPONENT_TIMEOUT_SECONDS,
    )


def _node_is_ready(cluster: Cluster) -> bool:
    node = cluster.get(f"/api/v1/nodes/{NODE_NAME}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _remove(name: str) -> None:
    """End and remove all that there is of a cluster; the node first, as the kernel ends all in it at once."""
    Node(name).stop()
    for record in (state_dir(name) / "processes").glob("*.json"):
        processes.stop(record, grace_seconds=0)
    for mount in mounts_of(name):
        subprocess.run(["umount", "--lazy", mount], check=True)
    if state_dir(name).exists():
        shutil.rmtree(state_dir(name))
    # The interface goes with the node's network namespace, which the kernel takes apart in the background.
    wait_until(
        f"the network interface of the cluster {name} is gone",
        lambda: not interfaces_of(name),
        timeout_seconds=10,
        poll_seconds=0.05,
    )


def _free_ports(count: int) -> list[int]:
    """Ports of loopback on which nothing listens now."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for candidate in sockets:
            candidate.bind((LOOPBACK, 0))
        return [candidate.getsockname()[1] for candidate in sockets]
