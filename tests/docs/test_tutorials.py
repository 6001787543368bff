"""What pages tell a reader to ask of a Prometheus, asked of a real one: nothing is installed for it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backfill import prometheus_that_remembers
from tests.cli.test_try import HOUR, STEP, WEEK, exposition
from tests.docs.pages import REPOSITORY
from tests.docs.test_commands import LINES, Line

pytestmark = pytest.mark.go

READERS = ("scan", "try")
SHOWN = [
    line
    for line in LINES
    if line.words[0] == "bilgepump" and line.words[1] in READERS and "--prometheus" in line.words
]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What it remembers goes on for an hour from now: commands ask for the present, however late they are."""
    end = int(time.time()) // STEP * STEP + HOUR
    with prometheus_that_remembers(exposition(end - WEEK, end), tmp_path_factory.mktemp("prometheus")) as url:
        yield url


@pytest.mark.parametrize("line", SHOWN, ids=str)
def test_command_that_reads_a_prometheus_works(line: Line, prometheus: str, tmp_path: Path) -> None:
    words = list(line.words)
    words[words.index("--prometheus") + 1] = prometheus
    program = Path(sys.executable).with_name("bilgepump")
    ran = subprocess.run([program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ran.returncode in ((0, 3) if words[1] == "scan" else (0,)), ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    if words[1] == "try":
        written = subprocess.run(
            [program, "check-policy", tmp_path / "policy.yaml"], capture_output=True, text=True
        )
        assert written.returncode == 0, written.stderr


def test_readme_and_the_pages_for_eks_and_try_are_among_them() -> None:
    pages = {line.block.page for line in SHOWN}
    assert {
        REPOSITORY / "README.md",
        *(REPOSITORY / "docs/start" / name for name in ("eks.md", "try.md")),
    } <= pages
