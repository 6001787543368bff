"""
Writes `docs/events.md` from the catalogue of Event reasons, `docs/gates.md` from that of holds.

Run `python -m docs.generators` after a change of either; a test fails until then.
"""

from pathlib import Path

from controller.decision.gates import GATES
from controller.reporting.reasons import EVENTS, HOLDS, hold_event_reason, hold_tone

DOCS = Path(__file__).parents[1]
EVENTS_PAGE = DOCS / "events.md"
GATES_PAGE = DOCS / "gates.md"


def events_page() -> str:
    """`docs/events.md` as it must be."""
    lines = [
        "# Events",
        "",
        "<!-- Made by `python -m docs.generators`. Do not edit. -->",
        "",
        "What Bilgepump tells in `kubectl get events` and `kubectl describe`, and what to do about each. An",
        "Event stands on the workload, and where a pod is concerned on the pod too; configuration problems",
        "stand on the policy. Each is told once per episode; a repetition counts the Event up.",
        "",
    ]
    for reason, row in EVENTS.items():
        lines += [
            f"## {reason.value}",
            "",
            f"{row.tone.value}, on the {row.regarding.value}. {row.when}",
            "",
            f"**What to do:** {row.what_to_do}",
            "",
        ]
    lines += [
        "## Holds",
        "",
        "A restart that is wanted and not done is told as `Held` and the reason, on the workload, once per",
        "change. It goes on by itself as soon as the cause is gone.",
        "",
    ]
    for hold, (when, what_to_do) in HOLDS.items():
        lines += [
            f"### {hold_event_reason(hold)}",
            "",
            f"{hold_tone(hold).value}. {when}",
            "",
            f"**What to do:** {what_to_do}",
            "",
        ]
    return "\n".join(lines)


def gates_page() -> str:
    """`docs/gates.md` as it must be."""
    lines = [
        "# Gates",
        "",
        "<!-- Made by `python -m docs.generators`. Do not edit. -->",
        "",
        "Between wanting a restart and doing it stand these rules, in this order. All are asked; the first",
        "that holds names the reason, every refusal stands in the incident's status. Each is a pure function",
        "in `controller/decision/gates/` with a row in the table test `tests/decision/test_gates.py`.",
        "",
    ]
    for number, gate in enumerate(GATES, start=1):
        summary = " ".join((gate.__doc__ or "").strip().split("\n\n")[0].split())
        name = gate.__name__.replace("_", " ")
        lines.append(f"{number}. **{name}**: {summary}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    EVENTS_PAGE.write_text(events_page())
    GATES_PAGE.write_text(gates_page())
