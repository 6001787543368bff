"""The corpus `tests/policies`: good policies, and bad ones whose header says what must be answered."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

POLICIES = Path(__file__).parents[1] / "policies"
GOOD = tuple(sorted((POLICIES / "good").glob("*.yaml")))


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPolicy:
    """One mistake and the answers to it."""

    path: Path
    mistake: str
    field: str
    """The field that the controller's validation must name."""
    says: str
    """A part of what the controller's validation must say."""
    admission: str
    """A part of what the API server must say; `accepts, because …` where one object alone cannot know."""

    @property
    def admitted(self) -> bool:
        return self.admission.startswith("accepts, because ")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def _bad(path: Path) -> BadPolicy:
    lines = path.read_text().splitlines()
    header = dict(line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# "))
    return BadPolicy(path=path, **header)


BAD = tuple(_bad(path) for path in sorted((POLICIES / "bad").glob("*.yaml")))
