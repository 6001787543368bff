"""
`docs/start/kind.md` as a reader runs it: every `console` block, in order, on a real cluster.

Its `sh` blocks make and remove a cluster with docker and kind; the tests' own cluster stands in for these.
"""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.prometheus import Prometheus
from tests.docs.pages import REPOSITORY, blocks_of

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(1500)]

PAGE = REPOSITORY / "docs" / "start" / "kind.md"
TIMES = REPOSITORY / "build" / "e2e" / "tutorial.json"
LONGEST_SECONDS = 900


@pytest.fixture
def without_leftovers(cluster: Cluster) -> Iterator[Cluster]:
    def remove() -> None:
        cluster.helm("uninstall", "bilgepump", "-n", "bilgepump", "--ignore-not-found", "--wait")
        cluster.kubectl("delete", "-f", str(REPOSITORY / "crds"), "--ignore-not-found", "--timeout=60s")
        cluster.kubectl("delete", "namespace", "shop", "bilgepump", "--ignore-not-found", "--timeout=90s")

    remove()
    try:
        yield cluster
    finally:
        remove()


def test_every_command_works(
    without_leftovers: Cluster, prometheus: Prometheus, loaded_controller_image: str
) -> None:
    cluster = without_leftovers
    environment = {**cluster.environment(), "PROMETHEUS": prometheus.url}
    blocks = [block for block in blocks_of(PAGE) if block.language == "console"]
    assert len(blocks) >= 6
    assert loaded_controller_image in (REPOSITORY / "docs" / "start" / "leaky.yaml").read_text()
    seconds: dict[str, float] = {}
    said = ""
    for block in blocks:
        began = time.monotonic()
        ran = subprocess.run(
            ["bash", "-eu", "-c", block.text],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
        seconds[block.text.splitlines()[0]] = round(time.monotonic() - began, 1)
        said += f"$ {block.text}{ran.stdout}{ran.stderr}\n"
        print(said.rpartition("$ ")[2])
        assert ran.returncode == 0, f"{block} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
    TIMES.parent.mkdir(parents=True, exist_ok=True)
    TIMES.write_text(json.dumps(seconds, indent=2) + "\n")
    assert "Resolved" in said
    assert "LeakRecoveryConfirmed" in said
    assert cluster.get("/api/v1/namespaces/bilgepump") is None
