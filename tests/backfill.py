"""A real Prometheus whose past was written beforehand."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.binaries import build


@contextmanager
def prometheus_that_remembers(exposition: str, folder: Path) -> Iterator[str]:
    """
    Its URL, until the end of the block.

    `exposition` is OpenMetrics with timestamps, as `promtool tsdb create-blocks-from openmetrics` reads it.
    """
    programs = build(("prometheus", "promtool"))
    (folder / "past").write_text(exposition)
    subprocess.run(
        [programs["promtool"], "tsdb", "create-blocks-from", "openmetrics", folder / "past", folder / "data"],
        check=True,
        capture_output=True,
        timeout=300,
    )
    with prometheus_over(folder, "--storage.tsdb.retention.time=30d") as url:
        yield url


@contextmanager
def prometheus_over(folder: Path, *flags: str) -> Iterator[str]:
    """A real Prometheus that scrapes nothing, over `folder`/data: its URL, until the end of the block."""
    programs = build(("prometheus",))
    (folder / "configuration.yaml").write_text("{}\n")
    command = [
        programs["prometheus"],
        f"--config.file={folder / 'configuration.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        *flags,
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            yield _address(folder / "log")
        finally:
            process.terminate()


def _address(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = log.read_text()
        if "Listening on" in text:
            port = text.partition("Listening on")[2].partition("127.0.0.1:")[2].split('"')[0].split()[0]
            url = f"http://127.0.0.1:{port}"
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                    return url
            except OSError:
                pass
        time.sleep(0.2)
    pytest.fail(f"Prometheus did not become ready:\n{log.read_text()[-2000:]}")
