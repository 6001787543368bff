"""A diagnosis as people read it in a terminal: what grew, what only churns, the cause, three answers."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.detection.assessment import GrowthClass
from controller.evidence.answers import Answers
from controller.evidence.cause_matching import NamedCause
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.origin import Origin
from controller.evidence.summary import summarize

_MOST_ROWS = 6


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Prints it; colour only where the console has it, and never as the only sign."""
    console.print(Text(_headline(diagnosis), style="bold"))
    console.print(Text(summarize(diagnosis) + "."))
    for section in (_grown(diagnosis), _goroutines(diagnosis), _churn(diagnosis)):
        if section is not None:
            console.print()
            console.print(section)
    for cause in diagnosis.causes:
        console.print()
        console.print(_cause(cause))
    console.print()
    console.print(_answers(diagnosis.answers))
    console.print()
    console.print(_advice(diagnosis))
    for warning in diagnosis.warnings:
        console.print(Text(f"Note: {warning}", style="yellow"))


def _headline(diagnosis: Diagnosis) -> str:
    sure = f"confidence {diagnosis.confidence:.0%}"
    if diagnosis.plain:
        verb = "Grows" if diagnosis.has_baseline else "Largest"
        return f"{verb}: {diagnosis.growth_class}, by the program's own metrics ({sure})"
    if not diagnosis.has_baseline:
        return f"{_mib(diagnosis.growth_bytes)} in use, nothing to compare with ({sure})"
    if diagnosis.growth_class is GrowthClass.UNKNOWN:
        return f"No growth to explain: {_signed(diagnosis.growth_bytes)} since the baseline ({sure})"
    return (
        f"Grows: {diagnosis.growth_class}, heap {_signed(diagnosis.growth_bytes)} "
        f"± {_mib(diagnosis.plus_minus_bytes)} since the baseline, "
        f"{diagnosis.explained_share:.0%} explained ({sure})"
    )


def _grown(diagnosis: Diagnosis) -> RenderableType | None:
    if not diagnosis.retainers:
        return None
    growth = "GREW BY" if diagnosis.has_baseline else "IN USE"
    table = _table("Holds the memory", growth, "SHARE", "KEPT", "FUNCTION", "ALLOCATED IN")
    for each in diagnosis.retainers[:_MOST_ROWS]:
        where = f"\n{each.file}:{each.line}" if each.file and each.origin > Origin.RUNTIME else ""
        table.add_row(
            _mib(each.delta_bytes),
            f"{min(each.share, 1):.0%}",
            f"{each.kept_ratio:.0%}",
            Text.assemble(each.function, (where, "dim")),
            Text("the same" if each.allocator == each.function else each.allocator),
        )
    return table


def _goroutines(diagnosis: Diagnosis) -> RenderableType | None:
    grown = [each for each in diagnosis.goroutines if each.delta > 0][:_MOST_ROWS]
    if not grown:
        return None
    table = _table("Goroutines", "MORE", "NOW", "STATE", "FUNCTION")
    for each in grown:
        table.add_row(f"{each.delta:+d}", str(each.count), each.state.value, Text(each.function))
    return table


def _churn(diagnosis: Diagnosis) -> RenderableType | None:
    if not diagnosis.churn:
        return None
    table = _table(
        "Only churns (alloc_space: cumulative, not retention)", "ALLOCATED", "SHARE", "KEPT", "FUNCTION"
    )
    for each in diagnosis.churn[:_MOST_ROWS]:
        kept = each.retained_bytes / each.alloc_bytes if each.alloc_bytes else 0.0
        table.add_row(_mib(each.alloc_bytes), f"{each.share:.0%}", f"{max(kept, 0):.1%}", Text(each.function))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        numeric = column not in ("FUNCTION", "ALLOCATED IN", "STATE")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return table


def _cause(named: NamedCause) -> RenderableType:
    place = f"{named.function} {named.file}:{named.line}".strip() if named.function else "not in Go code"
    lines = Table.grid(padding=(0, 2, 0, 0))
    for label, value in (
        ("where", place),
        ("because", named.evidence),
        ("why", named.cause.why),
        ("look for", named.cause.look_for),
        ("linter", named.cause.linter),
        ("fix", named.cause.fix),
    ):
        lines.add_row(Text(label, style="dim"), Text(value))
    title = Text(f"Likely cause ({named.confidence:.0%}): {named.cause.title}", style="bold")
    return Group(title, Padding(lines, (0, 0, 0, 2)))


def _answers(answers: Answers) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    cleared = ", ".join(answers.suspects_cleared[:_MOST_ROWS]) or "nobody was suspected"
    grid.add_row(
        Text("Are we looking in the right place?"),
        Text(f"{_word(answers.right_direction)}: {answers.right_direction_because}"),
    )
    grid.add_row(Text("Is the usual suspect guilty?"), Text(f"cleared: {cleared}"))
    grid.add_row(
        Text("Can memory be freed by hand?"),
        Text(f"{_word(answers.can_memory_be_freed_by_hand)}: {answers.freed_by_hand_because}"),
    )
    return grid


def _advice(diagnosis: Diagnosis) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for number, value in enumerate(diagnosis.meanwhile):
        grid.add_row(Text("" if number else "Meanwhile"), Text(value))
    return grid


def _word(answer: bool | None) -> str:
    return "not known" if answer is None else "yes" if answer else "no"


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


def _signed(size: float) -> str:
    return f"{size / 2**20:+.1f} MiB"
