"""The cluster by hand: ``python -m tests.cluster build|up|status|down [--name NAME]``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster.binaries import BuildError
from tests.cluster.client import CommandError
from tests.cluster.cluster import ComponentDied
from tests.cluster.interruption import terminating
from tests.cluster.leftovers import leftovers
from tests.cluster.lifecycle import LeftoverError, attach, down, names, up
from tests.cluster.node import NodeError
from tests.cluster.ownership import ClusterInUse
from tests.cluster.preparation import prepare
from tests.cluster.prerequisites import PrerequisiteError
from tests.cluster.progress import elapsed_text
from tests.cluster.waiting import WaitTimeout

#: What goes wrong on a machine, as opposed to a mistake in this program: told without a traceback.
FAILURES = (
    BuildError,
    ClusterInUse,
    CommandError,
    ComponentDied,
    LeftoverError,
    NodeError,
    PrerequisiteError,
    WaitTimeout,
    ValueError,
)


def main() -> int:
    """Run one command; the exit code is 0 when it did what it was asked, 1 otherwise."""
    arguments = _parser().parse_args()
    try:
        with terminating():
            return _run(arguments)
    except FAILURES as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    match arguments.command:
        case "build":
            for program, path in prepare().paths.items():
                print(f"{program:26} {path}")
        case "up":
            cluster = up(
                name=arguments.name,
                index=arguments.index,
                control_plane_only=arguments.control_plane_only,
                keep=True,
            )
            print(f"the cluster {cluster.name} is ready after {elapsed_text(time.monotonic() - started)}")
            print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.binaries.search_path()}:$PATH")
        case "status":
            return _status(arguments.name)
        case "down":
            down(arguments.name)
            print(f"the cluster {arguments.name} is down, nothing is left of it")
    return 0


def _status(name: str) -> int:
    cluster = attach(name)
    if cluster is not None:
        print(f"the cluster {name} serves at {cluster.layout.server}")
        print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.binaries.search_path()}:$PATH")
        return 0
    print(f"the cluster {name} is not up")
    for line in leftovers(name):
        print(f"  left: {line}")
    if others := [other for other in names() if other != name]:
        print(f"other clusters on this machine: {', '.join(others)}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make the programs and image layers in the cache")
    for name, help_text in (
        ("up", "bring a cluster up and leave it running"),
        ("status", "say whether a cluster is up; exit code 1 when not"),
        ("down", "take a cluster down, and remove what a killed run left"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--name", default="dev", help="which cluster (default: dev)")
        if name == "up":
            command.add_argument("--index", type=int, help="0 to 49: its network is 10.(77+index).0.0/16")
            command.add_argument(
                "--control-plane-only", action="store_true", help="no node, no root: for API tests"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
