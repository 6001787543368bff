"""
Draws what the dashboards would show, one picture per dashboard, for a person to look at.

`python -m tests.chart.contact_sheet FOLDER`: half a day of a small fleet is simulated with the real sweeps, a
real Prometheus is given what they would have told, and every panel's queries are asked of it as Grafana asks
them. Panels are drawn at their own place, with their title, unit, legend, thresholds and colours. It is no
Grafana; that Grafana can read the files, their schema says (tests/chart/test_dashboard_schema.py).
"""

import asyncio
import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from docs.generators.dashboards import WORKLOAD, dashboards
from tests.backfill import prometheus_that_remembers
from tests.chart.recorded_day import a_day

INCHES_WIDE, INCHES_PER_ROW, HEAD_ROWS = 18.0, 0.42, 2
STEP = timedelta(minutes=5)
COLOURS = {"text": "#24292e", "green": "#3d9a4f", "red": "#d0342c", "blue": "#2f6fdb"}
VARIABLE = re.compile(r"\$\{?(\w+)\}?")

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel."""

    legend: str
    moments: Sequence[datetime]
    values: Sequence[float]


class Source:
    """A Prometheus over one stretch of time, asked with a dashboard's variables filled in."""

    def __init__(self, url: str, begin: datetime, end: datetime, variables: Mapping[str, str]) -> None:
        self._url = url
        self.begin, self.end = begin, end
        whole = int((end - begin).total_seconds())
        self._variables = {**variables, "__rate_interval": "15m", "__interval": "5m", "__range": f"{whole}s"}

    def filled(self, expression: str) -> str:
        """With its variables' values. Raises KeyError where one is not defined."""
        return VARIABLE.sub(lambda match: self._variables[match[1]], expression)

    def now(self, expression: str) -> list[tuple[Labels, float]]:
        """An instant query at the end."""
        found = self._ask("query", query=self.filled(expression), time=self.end.timestamp())
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def lines(self, expression: str, legend: str) -> list[Line]:
        """A range query over the whole time."""
        found = self._ask(
            "query_range",
            query=self.filled(expression),
            start=self.begin.timestamp(),
            end=self.end.timestamp(),
            step=STEP.total_seconds(),
        )
        return [
            Line(
                legend_of(legend, one["metric"]),
                [datetime.fromtimestamp(at, self.end.tzinfo) for at, _ in one["values"]],
                [float(value) for _, value in one["values"]],
            )
            for one in found["result"]
        ]

    def _ask(self, what: str, **query: Any) -> Any:
        with urllib.request.urlopen(
            f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(query)}", timeout=30
        ) as answer:
            return json.load(answer)["data"]


def legend_of(pattern: str, labels: Labels) -> str:
    """`{{label}}` filled in, as Grafana does."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), pattern) or str(labels)


def with_unit(value: float, unit: str) -> str:
    """A number as Grafana writes it, near enough to judge a panel by."""
    if unit == "s":
        for size, name in ((86400, "days"), (3600, "hours"), (60, "mins")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.3g} s"
    if unit in ("bytes", "binBps"):
        power = 0
        while abs(value) >= 1024 and power < 4:
            value, power = value / 1024, power + 1
        return f"{value:.3g} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}{'/s' if unit == 'binBps' else ''}"
    return f"{value:.4g}"


def draw(content: dict[str, Any], source: Source, path: Path) -> list[str]:
    """The picture of one dashboard; the titles of panels that showed nothing."""
    panels = content["panels"]
    rows = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) + HEAD_ROWS
    figure = plt.figure(figsize=(INCHES_WIDE, rows * INCHES_PER_ROW), dpi=100)
    figure.suptitle(content["title"], x=0.01, y=0.995, ha="left", va="top", fontsize=15, fontweight="bold")
    empty = []
    for panel in panels:
        axes = figure.add_axes(_inside(panel, rows))
        if not _PAINTERS[panel["type"]](axes, panel, source):
            empty.append(panel["title"])
        axes.set_title(panel["title"], loc="left", fontsize=10, fontweight="bold")
        if panel["type"] == "timeseries":
            _annotate(axes, content["annotations"]["list"], source)
    figure.savefig(path)
    plt.close(figure)
    return empty


def _inside(panel: dict[str, Any], rows: int) -> tuple[float, float, float, float]:
    """Where the axes are, in shares of the picture: with room for title, numbers at the axes and legend."""
    place = panel["gridPos"]
    left, right = (
        (1.2, 0.2)
        if panel["type"] == "timeseries"
        else (3.5, 0.2)
        if panel["type"] == "bargauge"
        else (0.3, 0.2)
    )
    above, below = 0.9, 1.7 if panel["type"] == "timeseries" else 0.4
    if panel["type"] == "row":
        above, below = 0.8, 0.1
    bottom = rows - HEAD_ROWS - place["y"] - place["h"] + below
    return (
        (place["x"] + left) / 24,
        bottom / rows,
        (place["w"] - left - right) / 24,
        (place["h"] - above - below) / rows,
    )


def _stat(axes: Axes, panel: dict[str, Any], source: Source) -> bool:
    _bare(axes)
    defaults = panel["fieldConfig"]["defaults"]
    target = panel["targets"][0]
    found = source.now(target["expr"])
    if not found:
        axes.text(0.5, 0.5, defaults.get("noValue", "No data"), ha="center", va="center", fontsize=18)
        return "noValue" in defaults
    labels, value = found[0]
    by_name = panel["options"].get("textMode") == "name"
    text = (
        legend_of(target.get("legendFormat", ""), labels) if by_name else with_unit(value, defaults["unit"])
    )
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=20, color=_threshold_colour(defaults, value))
    return True


def _threshold_colour(defaults: dict[str, Any], value: float) -> str:
    colour = "text"
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return COLOURS.get(colour, colour)


def _table(axes: Axes, panel: dict[str, Any], source: Source) -> bool:
    _bare(axes)
    organise = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    units = {
        one["matcher"]["options"]: next(
            (each["value"] for each in one["properties"] if each["id"] == "unit"), ""
        )
        for one in panel["fieldConfig"]["overrides"]
    }
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    columns: list[str] = []
    for target in panel["targets"]:
        name = organise["renameByName"][f"Value #{target['refId']}"]
        columns.append(name)
        for labels, value in source.now(target["expr"]):
            rows.setdefault(tuple(sorted(labels.items())), {})[name] = value
    if not rows:
        return False
    by = panel["options"]["sortBy"][0]["displayName"]
    ordered = sorted(rows.items(), key=lambda item: item[1].get(by, float("inf")))
    keys = sorted({name for labels, _ in ordered for name, _ in labels})
    cells = [
        [dict(labels).get(key, "") for key in keys]
        + [with_unit(values[name], units.get(name, "")) if name in values else "" for name in columns]
        for labels, values in ordered
    ]
    made = axes.table(cellText=cells, colLabels=[*keys, *columns], loc="upper center", cellLoc="left")
    made.auto_set_font_size(False)
    made.set_fontsize(9)
    return True


def _timeseries(axes: Axes, panel: dict[str, Any], source: Source) -> bool:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults.get("custom", {})
    lines = [
        line
        for target in panel["targets"]
        for line in source.lines(target["expr"], target.get("legendFormat", ""))
    ]
    overrides = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel["fieldConfig"].get("overrides", ())
    }
    colours = {line.legend: _colour(overrides.get(line.legend, {})) for line in lines}
    if custom.get("drawStyle") == "bars":
        _bars(axes, [line for line in lines if any(line.values)])
    elif custom.get("stacking", {}).get("mode") == "normal":
        _stack(axes, lines, colours)
    else:
        for line in lines:
            own = overrides.get(line.legend, {})
            colour = own.get("color", {}).get("fixedColor")
            dashed = "--" if own.get("custom.lineStyle") else "-"
            axes.plot(
                line.moments,
                line.values,
                dashed,
                label=line.legend,
                color=COLOURS.get(colour, colour),
                linewidth=1.2,
            )
    unit = defaults.get("unit", "short")
    axes.yaxis.set_major_formatter(lambda value, _: with_unit(value, unit))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    axes.set_xlim(source.begin, source.end)
    axes.set_ylim(bottom=defaults.get("min"))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(fontsize=6.5, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
    return any(any(line.values) for line in lines)


def _bars(axes: Axes, lines: Sequence[Line]) -> None:
    below: dict[datetime, float] = {}
    for line in lines:
        bottom = [below.get(at, 0.0) for at in line.moments]
        axes.bar(line.moments, line.values, width=STEP / timedelta(days=1), bottom=bottom, label=line.legend)
        below.update(
            {at: low + high for at, low, high in zip(line.moments, bottom, line.values, strict=True)}
        )


def _colour(override: dict[str, Any]) -> str | None:
    colour = override.get("color", {}).get("fixedColor")
    return COLOURS.get(colour, colour)


def _stack(axes: Axes, lines: Sequence[Line], colours: Mapping[str, str | None]) -> None:
    moments = sorted({at for line in lines for at in line.moments})
    values = [
        [known.get(at, 0.0) for at in moments]
        for known in (dict(zip(line.moments, line.values, strict=True)) for line in lines)
    ]
    names = [line.legend for line in lines]
    axes.stackplot(moments, values, labels=names, colors=[colours[name] for name in names], alpha=0.6)


def _bargauge(axes: Axes, panel: dict[str, Any], source: Source) -> bool:
    target = panel["targets"][0]
    found = [
        (legend_of(target["legendFormat"], labels), value) for labels, value in source.now(target["expr"])
    ]
    axes.barh([name for name, _ in found], [value for _, value in found], color=COLOURS["blue"])
    axes.invert_yaxis()
    axes.tick_params(labelsize=9)
    return bool(found)


def _row(axes: Axes, _: dict[str, Any], __: Source) -> bool:
    _bare(axes)
    return True


def _bare(axes: Axes) -> None:
    axes.set_axis_off()


def _annotate(axes: Axes, annotations: Sequence[dict[str, Any]], source: Source) -> None:
    for one in annotations:
        colour = COLOURS.get(one["iconColor"], one["iconColor"])
        for line in source.lines(one["expr"], one["titleFormat"]):
            for at in line.moments:
                axes.axvspan(at, at + STEP, ymax=0.03, color=colour)


_PAINTERS: dict[str, Callable[[Axes, dict[str, Any], Source], bool]] = {
    "stat": _stat,
    "table": _table,
    "timeseries": _timeseries,
    "bargauge": _bargauge,
    "row": _row,
}


def sheets(folder: Path) -> dict[Path, list[str]]:
    """Both dashboards over the simulated time, with the titles of panels that showed nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    past, begin, end = asyncio.run(a_day())
    drawn = {}
    with TemporaryDirectory() as place, prometheus_that_remembers(past, Path(place)) as url:
        fleet = {"namespace": ".*"}
        restarted = 'topk(1, max by (name) (max_over_time(bilgepump_open_incident{phase="Verifying"}[1d])))'
        ((labels, _),) = Source(url, begin, end, fleet).now(restarted)
        one = {"namespace": "shop", "kind": "Deployment", "name": labels["name"]}
        for path, text in dashboards().items():
            picture = folder / f"{path.stem}.png"
            variables = one if path.stem == WORKLOAD else fleet
            drawn[picture] = draw(json.loads(text), Source(url, begin, end, variables), picture)
    return drawn


if __name__ == "__main__":
    for picture, empty in sheets(Path(sys.argv[1])).items():
        print(picture, f"shows nothing: {', '.join(empty)}" if empty else "")
