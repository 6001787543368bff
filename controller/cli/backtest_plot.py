"""What a backtest looks like: memory, floors, verdict changes and projections, as HTML, PNG or SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from controller.cli.replay import BacktestResult, ContainerResult, Transition
from controller.decision.outcome import Action
from controller.detection.assessment import Verdict
from controller.metrics.recorded_memory import RecordedMemory
from controller.metrics.series import Signal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 1080.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 70.0, 20.0, 16.0, 30.0
MOST_POINTS = 1200
MOST_CHARTS = 40
"""Of a PNG or SVG, which becomes too high for most programs."""
MIB = 2.0**20

COLOURS = {
    Verdict.LEAKING: "#c0392b",
    Verdict.SUSPECT: "#d68910",
    Verdict.HEALTHY: "#1e8449",
    Verdict.INSUFFICIENT_DATA: "#7f8c8d",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The memory of one container: unix seconds and bytes, all of shape (points,), at least one point."""

    result: ContainerResult
    times: np.ndarray[Any, np.dtype[np.float64]]
    tops: np.ndarray[Any, np.dtype[np.float64]]
    floors: np.ndarray[Any, np.dtype[np.float64]]
    limit: float
    threshold: float


def check_plot(path: Path) -> None:
    """
    Whether a picture can be written to `path`, in the format its suffix names.

    Raises click.UsageError where there is no such folder or format, click.ClickException where matplotlib
    is missing.
    """
    if not path.parent.is_dir():
        raise click.UsageError(f"--plot: {path.parent} is no directory")
    suffix = path.suffix.lower()
    if suffix not in (".html", ".png", ".svg"):
        raise click.UsageError(f"--plot writes .html, .png or .svg (is '{suffix or path}')")
    if suffix == ".html":
        return
    try:
        import_module("matplotlib.backends.backend_agg")
    except ImportError as error:
        raise click.ClickException(
            f"{suffix} needs matplotlib: pip install matplotlib, or write .html, which needs nothing"
        ) from error


def write_plot(path: Path, result: BacktestResult, recordings: Sequence[RecordedMemory]) -> None:
    """Writes a plot of every container to `path`, which `check_plot` has taken."""
    traces = traces_of(result, recordings)
    if path.suffix.lower() == ".html":
        path.write_text(page(traces), encoding="utf-8")
    else:
        figure_of(traces).savefig(path, dpi=100)


def traces_of(result: BacktestResult, recordings: Sequence[RecordedMemory]) -> tuple[Trace, ...]:
    """One trace per result with any memory to draw, those with the gravest verdict first."""
    by_key = {one.key: one for one in result.results}
    traces = [
        trace
        for recorded in recordings
        for row, key in enumerate(recorded.keys)
        if key in by_key and len((trace := _trace(by_key[key], recorded, row)).times)
    ]
    return tuple(sorted(traces, key=lambda trace: (_gravest(trace.result), str(trace.result.key))))


def _gravest(result: ContainerResult) -> int:
    order = (Verdict.LEAKING, Verdict.SUSPECT, Verdict.INSUFFICIENT_DATA, Verdict.HEALTHY)
    return min((order.index(one.assessment.verdict) for one in result.transitions), default=len(order))


def _trace(result: ContainerResult, recorded: RecordedMemory, row: int) -> Trace:
    def of(*signals: Signal) -> np.ndarray[Any, np.dtype[np.float64]]:
        matrix = next((recorded.signals[signal] for signal in signals if signal in recorded.signals), None)
        return np.full(columns, np.nan) if matrix is None else matrix[row].astype(np.float64)

    columns = (recorded.end - recorded.begin) // recorded.block_seconds
    times = recorded.begin + recorded.block_seconds * np.arange(1, columns + 1, dtype=np.float64)
    tops, floors = of(Signal.WORKING_SET_TOP, Signal.RSS_TOP), of(Signal.RSS_FLOOR, Signal.WORKING_SET_FLOOR)
    lived = ~np.isnan(tops) | ~np.isnan(floors)
    every = max(1, math.ceil(lived.sum() / MOST_POINTS))
    chosen = np.flatnonzero(lived)[::every]
    said = [transition.assessment for transition in result.transitions]
    return Trace(
        result=result,
        times=times[chosen],
        tops=tops[chosen],
        floors=floors[chosen],
        limit=float(next((one.limit_bytes for one in reversed(said) if one.limit_bytes), 0) or np.nan),
        threshold=float(
            next((one.threshold_bytes for one in reversed(said) if one.threshold_bytes), 0) or np.nan
        ),
    )


def page(traces: Sequence[Trace]) -> str:
    """One self-contained HTML document; everything that came from outside is escaped by the template."""
    environment = Environment(
        loader=PackageLoader("controller.cli", "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("backtest.html.j2").render(
        charts=[_chart(trace) for trace in traces],
        width=WIDTH,
        height=HEIGHT,
        top=TOP,
        left=LEFT,
        bottom=HEIGHT - BOTTOM,
        right=WIDTH - RIGHT,
    )


def _chart(trace: Trace) -> dict[str, Any]:
    """Coordinates of one chart."""
    first, last = float(trace.times[0]), float(max(trace.times[-1], trace.times[0] + 1))
    known = [float(np.nanmax(values)) for values in (trace.tops, trace.floors) if np.isfinite(values).any()]
    highest = 1.05 * max([*known, 0.0 if math.isnan(trace.limit) else trace.limit, 1.0])

    def x(moment: float) -> float:
        return round(LEFT + (moment - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - min(value / highest, 1.0) * (HEIGHT - TOP - BOTTOM), 1)

    return {
        "name": str(trace.result.key),
        "workload": str(trace.result.workload or ""),
        "tops": _path(trace.times, trace.tops, x, y),
        "floors": _path(trace.times, trace.floors, x, y),
        "limit": None if math.isnan(trace.limit) else y(trace.limit),
        "threshold": None if math.isnan(trace.threshold) else y(trace.threshold),
        "ticks": [
            {"y": y(share * highest), "text": f"{share * highest / MIB:.0f} MiB"}
            for share in (0.25, 0.5, 0.75)
        ],
        "begin": _text(first),
        "end": _text(last),
        "marks": [_mark(one, x, y, last) for one in trace.result.transitions],
    }


def projection_of(transition: Transition, last: float) -> tuple[tuple[float, float], ...]:
    """
    The way from what was used to the threshold as it was foreseen, as far as `last`; empty where it was not.

    Two points of unix seconds and bytes.
    """
    said, at = transition.assessment, transition.at.timestamp()
    if said.crossing is None or said.used_bytes is None or not said.threshold_bytes:
        return ()
    crosses = said.crossing.likely.timestamp()
    share = 1.0 if crosses <= last or crosses <= at else (last - at) / (crosses - at)
    reached = said.used_bytes + share * (said.threshold_bytes - said.used_bytes)
    return (at, float(said.used_bytes)), (at + share * (crosses - at), reached)


def _mark(transition: Transition, x: Any, y: Any, last: float) -> dict[str, Any]:
    said, at = transition.assessment, transition.at.timestamp()
    points = [f"{x(moment)},{y(value)}" for moment, value in projection_of(transition, last)]
    return {
        "x": x(at),
        "time": _text(at),
        "verdict": said.verdict.value,
        "colour": COLOURS[said.verdict],
        "reason": said.reason,
        "message": said.message,
        "action": transition.action.value,
        "action_reason": transition.action_reason,
        "acts": transition.action in (Action.REMEDIATE, Action.CAPTURE),
        "projection": f"M{'L'.join(points)}" if points else None,
    }


def _path(times: Any, values: Any, x: Any, y: Any) -> str:
    """An SVG path that is interrupted where nothing was measured."""
    parts: list[str] = []
    drawing = False
    for moment, value in zip(times.tolist(), values.tolist(), strict=True):
        if math.isnan(value):
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{x(moment)},{y(value)}")
        drawing = True
    return "".join(parts)


def _text(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%MZ}"


def figure_of(traces: Sequence[Trace]) -> "Figure":
    """The first of `traces`, one below the other. Raises ImportError where matplotlib is missing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = traces[:MOST_CHARTS]
    rows = max(len(shown), 1)
    figure = Figure(figsize=(12, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for axis, trace in zip(axes, shown, strict=False):
        _draw(axis, trace)
    axes[-1].set_xlabel("hours")
    if len(shown) < len(traces):
        figure.suptitle(f"{len(shown)} of {len(traces)} containers shown; .html shows all", fontsize=10)
    return figure


def _draw(axis: Any, trace: Trace) -> None:
    first, last = trace.times[0], float(trace.times[-1])
    hours = (trace.times - first) / 3600
    axis.plot(hours, trace.tops / MIB, color="#aab7b8", linewidth=0.8, label="working set")
    axis.plot(hours, trace.floors / MIB, color="#1f618d", linewidth=1.2, label="floor")
    for value, style, name in ((trace.limit, "-", "limit"), (trace.threshold, "--", "threshold")):
        if not math.isnan(value):
            axis.axhline(value / MIB, color="#555555", linestyle=style, linewidth=0.8, label=name)
    axis.plot([], [], color="#555555", linestyle=":", label="projection")
    for one in trace.result.transitions:
        verdict, at = one.assessment.verdict, (one.at.timestamp() - first) / 3600
        acts = one.action in (Action.REMEDIATE, Action.CAPTURE)
        axis.axvline(at, color=COLOURS[verdict], linewidth=2 if acts else 1)
        words = f"{verdict.value}, {one.action.value}" if acts else verdict.value
        # Within the axes, so that a mark at the border does not squeeze the picture.
        axis.text(
            at, 0.02, f" {words}", transform=axis.get_xaxis_transform(), rotation=90, fontsize=6, clip_on=True
        )
        if way := projection_of(one, last):
            ends = [(moment - first) / 3600 for moment, _ in way]
            axis.plot(ends, [value / MIB for _, value in way], color=COLOURS[verdict], linestyle=":")
    axis.set_title(str(trace.result.key), fontsize=9, loc="left", parse_math=False)
    axis.set_ylabel("MiB")
    axis.legend(fontsize=7, loc="upper left")
