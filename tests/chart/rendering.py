"""The chart as Helm renders it."""

import functools
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import build

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "bilgepump"
URL = "prometheus.url=http://prometheus.monitoring:9090"

Object = dict[str, Any]


class Refused(AssertionError):
    """Helm refused; the message is what it said."""


@functools.cache
def helm(*arguments: str) -> str:
    """What Helm answers. Raises Refused."""
    program = build(("helm",))["helm"]
    finished = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    if finished.returncode != 0:
        raise Refused(finished.stdout + finished.stderr)
    return finished.stdout


def render(*settings: str) -> tuple[Object, ...]:
    """Every object of the chart with these `--set` settings, in release `bilgepump` of namespace `ops`."""
    options = [part for setting in settings for part in ("--set", setting)]
    text = helm("template", "bilgepump", str(CHART), "--namespace", "ops", *options)
    return tuple(document for document in yaml.safe_load_all(text) if document)


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """Those of these kinds."""
    return [document for document in objects if document["kind"] in kinds]
