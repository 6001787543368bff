"""kubectl's commands that pages show and that change nothing lasting, on a real API server with the chart."""

import subprocess

import pytest

from tests.cluster.cluster import Cluster
from tests.docs.pages import REPOSITORY
from tests.docs.test_commands import Line, beginning

pytestmark = pytest.mark.apiserver

IN_TUTORIAL = REPOSITORY / "docs" / "start" / "kind.md"
"""Run whole, in order, by tests/operate/test_tutorial.py."""


def harmless(line: Line) -> bool:
    looks = line.words[1] == "get" and not any(word.isupper() for word in line.words)
    return line.block.page != IN_TUTORIAL and (looks or line.words[-1] == "crds/")


SHOWN = [line for line in beginning("kubectl") if harmless(line)]


@pytest.mark.parametrize("line", SHOWN, ids=str)
def test_command_is_understood(installed: Cluster, line: Line) -> None:
    words = [*line.words[1:], *(["--dry-run=server"] if line.words[1] == "apply" else [])]
    ran = subprocess.run(
        ["kubectl", *words],
        cwd=REPOSITORY,
        env=installed.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


def test_page_for_eks_is_among_them() -> None:
    assert {line.words[1] for line in SHOWN if line.block.page.name == "eks.md"} == {"get", "apply"}
