"""What there is of a cluster on this machine, outside its node's namespaces."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.cluster.layout import interface_alias, state_dir
from tests.cluster.node import Node, cgroup_folders

COMMAND_LENGTH = 160


def leftovers(name: str) -> list[str]:
    """Everything of a cluster, one line each; empty when there is nothing."""
    state = state_dir(name)
    found = [f"process {pid}: {command}" for pid, command in processes_of(name)]
    found += [f"mount {point}" for point in mounts_of(name)]
    found += [f"network interface {interface}" for interface in interfaces_of(name)]
    found += [f"cgroup {folder}" for folder in cgroup_folders(name)]
    return [*found, f"folder {state}"] if state.exists() else found


def processes_of(name: str) -> list[tuple[int, str]]:
    """Processes whose command line names the cluster's state folder, and its node's first process."""
    within = f"{state_dir(name)}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if within in command:
            text = command.replace(b"\0", b" ").decode(errors="replace")
            found.append((int(entry.name), text[:COMMAND_LENGTH].strip()))
    return found + [(pid, "the node's first process") for pid in Node(name).first_processes()]


def mounts_of(name: str) -> list[str]:
    """Mount points below the state folder that the machine sees, the deepest first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    below = [point for point in points if point.startswith(f"{state_dir(name)}/")]
    return sorted(below, key=len, reverse=True)


def interfaces_of(name: str) -> list[str]:
    """Network interfaces that carry the cluster's alias."""
    if shutil.which("ip") is None:
        return []
    listed = subprocess.run(["ip", "-json", "link", "show"], capture_output=True, text=True, check=True)
    links = json.loads(listed.stdout)
    return [link["ifname"] for link in links if link.get("ifalias") == interface_alias(name)]
