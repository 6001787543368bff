"""
Writes the table of values in the chart's README, and `docs/values.md`, from the comments of `values.yaml`.

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
PAGE = Path(__file__).parents[1] / "values.md"


def page() -> str:
    """The README with its table as it must be."""
    before, _, _ = README.read_text().partition(HEADING)
    return "\n".join([f"{before}{HEADING}", *_table(), ""])


def values_page() -> str:
    """`docs/values.md` as it must be."""
    lines = [
        "# Chart values",
        "",
        "<!-- Made by `python -m docs.generators`. Do not edit. -->",
        "",
        "Every value is checked against a schema: a misspelt one is refused by its name, not ignored.",
        "",
    ]
    return "\n".join([*lines, *_table(), ""])


def _table() -> list[str]:
    rows = [f"| `{path}` | `{default}` | {text} |" for path, default, text in _values()]
    return ["| value | default | meaning |", "|---|---|---|", *rows]


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
    PAGE.write_text(values_page())
