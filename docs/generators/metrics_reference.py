"""
Writes `docs/metrics.md` from the catalogue of our own metrics.

Run `python -m docs.generators` after a change of it; a test fails until then.
"""

from pathlib import Path

from controller.reporting.telemetry import METRICS

PAGE = Path(__file__).parents[1] / "metrics.md"


def page() -> str:
    """`docs/metrics.md` as it must be."""
    lines = [
        "# Metrics",
        "",
        "<!-- Made by `python -m docs.generators`. Do not edit. -->",
        "",
        "What the controller tells Prometheus at `/metrics`, beside `process_*`.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.meaning} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
