"""The score as text: totals and families side by side."""

from collections.abc import Mapping, Sequence

from tests.benchmarks.detection.score import Outcome, Rate, Summary, families, summary


def totals(outcomes: Mapping[str, Sequence[Outcome]], acting: Sequence[str]) -> str:
    """One row per detector."""
    head = (
        "detector",
        "precision",
        "recall",
        "worst family",
        "F1",
        "false normal",
        "false hostile",
        "false futile",
        "act normal",
        "act hostile",
        "act futile",
        "in time",
        "Suspect healthy",
        "lead h",
        "lead share",
        "interval",
        "width",
        "class",
        "ms/series",
    )
    return table([head, *(_total(name, summary(said), name in acting) for name, said in outcomes.items())])


def _total(name: str, total: Summary, acts: bool) -> tuple[str, ...]:
    def acted(share: Rate) -> str:
        return percent(share) if acts else "–"

    return (
        name,
        number(total.precision),
        percent(total.recall),
        f"{total.worst_family.removeprefix('leak-')} {100 * total.worst_recall:.0f}",
        number(total.f1),
        percent(total.false_normal),
        percent(total.false_hostile),
        percent(total.false_futile),
        acted(total.act_normal),
        acted(total.act_hostile),
        acted(total.act_futile),
        acted(total.in_time),
        percent(total.suspect_healthy),
        number(total.lead_hours, 1),
        number(total.lead_share),
        acted(total.covered),
        number(total.width) if acts else "–",
        acted(total.class_right),
        number(total.milliseconds, 1),
    )


def by_family(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """One row per family and variant: percent of leaks found, percent of everything else called `Leaking`."""
    shares = {name: families(said) for name, said in outcomes.items()}
    rows = list(dict.fromkeys(family for found in shares.values() for family in found))
    size = {family: next(found[family].of for found in shares.values() if family in found) for family in rows}
    head = ("family (leaks: found %; others: false %)", "n", *shares)
    body = (
        (family, str(size[family]), *(f"{100 * found[family].share:.0f}" for found in shares.values()))
        for family in sorted(rows)
    )
    return table([head, *body])


def percent(share: Rate) -> str:
    """Percent with one decimal and the size of the sample, such as `0.4 (512)`."""
    return f"{100 * share.share:.1f} ({share.of})" if share.of else "–"


def number(value: float, digits: int = 2) -> str:
    """Fixed digits, a dash for what is not known."""
    return "–" if value != value else f"{value:.{digits}f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as a Markdown table whose columns line up."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
