"""Whose a cluster is: it belongs to the process that brought it up, or it is kept for whoever comes.

The programs of a cluster that is not kept end with their owner, even when that is killed. What else it leaves
(its state folder, its cgroups) is removed by the next `up` or `down` of the same name.
"""

from __future__ import annotations

import fcntl
import os
from io import TextIOWrapper
from pathlib import Path

from tests.cluster.layout import clusters_root, state_dir
from tests.cluster.leftovers import processes_of


class ClusterInUse(RuntimeError):
    """A cluster of this name runs and belongs to someone; the message says to whom."""


#: The locks this process holds. The kernel lets go of them when it ends, however it ends.
_held: dict[str, TextIOWrapper] = {}


def owns(name: str) -> bool:
    """Whether the cluster belongs to this process."""
    return name in _held


def claim(name: str, *, kept_too: bool) -> None:
    """Make the cluster this process's own.

    Raises ClusterInUse when it belongs to a living process, and unless `kept_too` also when it was kept.
    """
    if owns(name):
        raise ClusterInUse(f"the cluster {name} is already up in this process")
    clusters_root().mkdir(parents=True, exist_ok=True)
    handle = (clusters_root() / f".{name}.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        owner = handle.read().strip()
        handle.close()
        raise ClusterInUse(f"the cluster {name} belongs to the running process {owner}") from None
    if not kept_too and is_kept(name) and processes_of(name):
        handle.close()
        raise ClusterInUse(f"the cluster {name} is up; `python -m tests.cluster down --name {name}` ends it")
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    _held[name] = handle


def release(name: str) -> None:
    """Give the cluster up."""
    if handle := _held.pop(name, None):
        handle.close()


def mark_kept(name: str) -> None:
    """Leave the cluster running after this process has ended, until someone takes it down."""
    _kept_marker(name).touch()


def is_kept(name: str) -> bool:
    """Whether the cluster was left running on purpose."""
    return _kept_marker(name).exists()


def _kept_marker(name: str) -> Path:
    return state_dir(name) / "kept"
