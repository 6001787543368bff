"""The node: Linux namespaces of its own for network, mounts and processes, held open by one process.

What the node's programs leave behind (mounts, network interfaces, iptables rules, containers, files under
/run, /var and /tmp) exists only inside, so that ending the first process, which the kernel answers by killing
every other one in its process namespace, removes all of it at once. Outside there are only: that process, one
network interface, the cgroups of the pods, and the state folder.

Runs on cgroup v1, hybrid or not (tried), and is written for v2 as well. It cannot work where `unshare` is
forbidden (most containers) or where /sys/fs/cgroup cannot be written: `Node.start` then fails with what the
kernel said.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from pathlib import Path

from tests.cluster import processes
from tests.cluster.cache import cache_root
from tests.cluster.configuration import KERNEL_SETTINGS
from tests.cluster.layout import (
    FIRST_NETWORK,
    NETWORK_COUNT,
    Layout,
    cgroup_name,
    host_interface,
    interface_alias,
    state_dir,
)
from tests.cluster.processes import ProcessRecord
from tests.cluster.waiting import wait_until

CGROUPS = Path("/sys/fs/cgroup")
NODE_INTERFACE = "eth0"
START_TIMEOUT_SECONDS = 10.0
CGROUP_TIMEOUT_SECONDS = 10.0


class NodeError(RuntimeError):
    """The node could not be made; the message says what the kernel refused."""


class Node:
    """The namespaces of one cluster's node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._record = state_dir(name) / "processes" / "node.json"

    def start(self, pause: Path, *, survive: bool) -> None:
        """Make the namespaces and the pods' cgroup. `pause` becomes the first process in them.

        Unless it shall `survive`, the node ends with the process that starts it, however that ends.
        """
        _make_cgroup(self.name)
        ready = state_dir(self.name) / "node.ready"
        log = state_dir(self.name) / "logs" / "node.log"
        script = _mounts(state_dir(self.name), ready) + f"exec {shlex.quote(str(pause))} {self._marker()}\n"
        namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
        command = ["unshare", *namespaces, "sh", "-ec", script]
        holder = processes.start(command, record=self._record, log=log, survive=survive)
        wait_until(
            "the node's namespaces are made",
            lambda: ready.exists() or not holder.is_alive(),
            timeout_seconds=START_TIMEOUT_SECONDS,
            poll_seconds=0.02,
        )
        if not ready.exists():
            raise NodeError(f"the node's namespaces cannot be made here: {log.read_text().strip()}")

    def connect(self, layout: Layout) -> None:
        """Lay the network between the machine, at `layout.host_interface`, and the node."""
        near, far = layout.host_interface, NODE_INTERFACE
        _run("ip", "address", "add", f"{layout.host_address}/24", "dev", near)
        _run("ip", "link", "set", near, "up")
        inside = (
            f"ip link set lo up; ip address add {layout.node_address}/24 dev {far}; ip link set {far} up; "
            f"ip route add default via {layout.host_address}; echo 1 > /proc/sys/net/ipv4/ip_forward"
        )
        _run(*self.enter("sh", "-ec", inside))
        _run("ip", "route", "add", str(layout.network), "via", layout.node_address)

    def take_network(self, index: int | None) -> int:
        """Make the network interface pair with this index, or the first free one, and return the index.

        Making it is atomic, so two clusters that start at once never get the same one.
        """
        holder = self._running()
        candidates = range(NETWORK_COUNT) if index is None else (index,)
        routed = subprocess.run(["ip", "-4", "route", "show"], capture_output=True, text=True, check=True)
        refusal = "no index was tried"
        for candidate in candidates:
            if f"10.{FIRST_NETWORK + candidate}." in routed.stdout:
                refusal = f"10.{FIRST_NETWORK + candidate}.0.0/16 is in use on this machine"
                continue
            cable = ["type", "veth", "peer", "name", NODE_INTERFACE, "netns", str(holder.pid)]
            made = subprocess.run(
                ["ip", "link", "add", host_interface(candidate), *cable], capture_output=True, text=True
            )
            if made.returncode == 0:
                _run("ip", "link", "set", host_interface(candidate), "alias", interface_alias(self.name))
                return candidate
            refusal = made.stderr.strip()
        raise NodeError(f"no network for the cluster {self.name}: {refusal}")

    def enter(self, *argv: str | Path) -> list[str]:
        """The command line that runs `argv` inside the node.

        `nsenter`, not `ip netns exec`: the latter mounts a fresh /sys, in which the kubelet finds no cgroups.
        """
        pid = self._running().pid
        namespaces = ["--mount", "--net", f"--pid=/proc/{pid}/ns/pid_for_children"]
        return ["nsenter", "--target", str(pid), *namespaces, "--", *(str(argument) for argument in argv)]

    def stop(self) -> None:
        """End everything in the node and remove its cgroups. Does nothing where there is nothing."""
        processes.stop(self._record, grace_seconds=0)
        for pid in self.first_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        wait_until(
            f"the cgroups of the cluster {self.name} are removed",
            lambda: _remove_cgroups(self.name),
            timeout_seconds=CGROUP_TIMEOUT_SECONDS,
            poll_seconds=0.05,
        )

    def first_processes(self) -> list[int]:
        """The ids of first processes of nodes with this name, also of one whose record is lost."""
        marker = self._marker().encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
                if len(arguments) > 1 and arguments[1] == marker:
                    found.append(int(entry.name))
        return found

    def _marker(self) -> str:
        return f"bilgepump-node={self.name}"

    def _running(self) -> ProcessRecord:
        process = processes.recorded(self._record)
        if process is None:
            raise NodeError(f"the node of the cluster {self.name} does not run")
        return process


def cgroup_folders(name: str) -> list[Path]:
    """The cgroups of the cluster, one per controller on v1, one on v2."""
    folders = [root / cgroup_name(name).lstrip("/") for root in _hierarchies()]
    return [folder for folder in folders if folder.exists()]


def _hierarchies() -> list[Path]:
    """Where cgroups can be made: the root on v2; on v1 each mounted hierarchy, without its aliases."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [root for root in CGROUPS.iterdir() if not root.is_symlink() and (root / "cgroup.procs").exists()]


def _make_cgroup(name: str) -> None:
    """The kubelet wants its root cgroup to exist under every controller."""
    for hierarchy in _hierarchies():
        folder = hierarchy / cgroup_name(name).lstrip("/")
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # On v1 a cpuset takes no process before these are set, and they are not inherited.
            if hierarchy.name == "cpuset" and (hierarchy / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text())
        controllers = hierarchy / "cgroup.controllers"
        if hierarchy == CGROUPS:
            for controller in controllers.read_text().split():
                with contextlib.suppress(OSError):
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_cgroups(name: str) -> bool:
    for folder in cgroup_folders(name):
        nested = [path for path in folder.rglob("*") if path.is_dir()]
        for path in sorted(nested, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not cgroup_folders(name)


def _mounts(state: Path, ready: Path) -> str:
    """The node's own /run, /var and /tmp, and the kernel settings it sees.

    The cache, which may lie under one of these, stays where it is.
    """
    cache = shlex.quote(str(cache_root()))
    # By this path it is reached while /var and /tmp are being replaced.
    own = shlex.quote(f"/run/cache/{state.relative_to(cache_root())}/node")
    lines = [
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mkdir /run/cache",
        f"mount --rbind {cache} /run/cache",
        f"mkdir -p {own}/var/lib {own}/var/log {own}/tmp {own}/sys",
        f"ln -s /run {own}/var/run",
        f"chmod 1777 {own}/tmp",
        f"mount --bind {own}/var /var",
        f"mount --bind {own}/tmp /tmp",
        f"mkdir -p {cache}",
        f"mount --rbind /run/cache {cache}",
    ]
    for index, (setting, value) in enumerate(KERNEL_SETTINGS.items()):
        stand_in = f"{own}/sys/{index}"
        lines.append(f"echo {value} > {stand_in}")
        lines.append(f"if [ -e /proc/sys/{setting} ]; then mount --bind {stand_in} /proc/sys/{setting}; fi")
    lines.append(f"touch {shlex.quote(str(ready))}")
    return "\n".join(lines) + "\n"


def _run(*argv: str) -> None:
    finished = subprocess.run(argv, capture_output=True, text=True)
    if finished.returncode != 0:
        raise NodeError(f"`{shlex.join(argv)}` failed: {finished.stderr.strip()}")
