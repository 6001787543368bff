"""
Writes the table of values in the chart's README from the comments of its `values.yaml`.

Run `python -m docs.generators.chart_values` after a change of the values; a test fails until then.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "bilgepump"
VALUES = CHART / "values.yaml"
README = CHART / "README.md"
HEADING = "## Values\n"


def page() -> str:
    """The README with its table as it must be."""
    before, _, _ = README.read_text().partition(HEADING)
    rows = [f"| `{path}` | `{default}` | {text} |" for path, default, text in _values()]
    return "\n".join([f"{before}{HEADING}", "| value | default | meaning |", "|---|---|---|", *rows, ""])


def _values() -> list[tuple[str, str, str]]:
    """Path, default and comment of every value that has a comment beginning with `--`."""
    parsed = yaml.safe_load(VALUES.read_text())
    found: list[tuple[str, str, str]] = []
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in VALUES.read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            comment = [text.removeprefix("# -- ")]
        elif text.startswith("#") and comment:
            comment.append(text.removeprefix("#").strip())
        elif match := re.match(r"( *)([A-Za-z0-9]+):", line):
            indent, name = len(match.group(1)), match.group(2)
            parents = [(depth, parent) for depth, parent in parents if depth < indent] + [(indent, name)]
            path = ".".join(parent for _, parent in parents)
            if comment:
                found.append((path, _default(parsed, path), " ".join(comment).replace("|", "\\|")))
            comment = []
        elif not text:
            comment = []
    return found


def _default(values: Any, path: str) -> str:
    for name in path.split("."):
        values = values[name]
    return json.dumps(values)


if __name__ == "__main__":
    README.write_text(page())
