"""
Writes the Grafana dashboards the chart ships: the fleet, and one workload.

Built with Grafana's own types, so that what is written fits its schema. Run `python -m docs.generators` after
a change; a test fails until then, and another runs every expression on a real Prometheus.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).parents[2] / "charts" / "bilgepump" / "files" / "dashboards"
FLEET, WORKLOAD = "bilgepump-fleet", "bilgepump-workload"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
GREEN, YELLOW, RED, BLUE = "green", "#EAB839", "red", "blue"

HERE = 'namespace=~"$namespace"'
THIS = 'namespace="$namespace", kind="$kind", name="$name"'
PODS = 'namespace="$namespace", pod=~"$name-.+", container!="", container!="POD"'
DETAILS = (
    f"/d/{WORKLOAD}?var-source=${{source}}&var-namespace=${{__data.fields.namespace}}"
    "&var-kind=${__data.fields.kind}&var-name=${__data.fields.name}"
)

Query = tuple[str, str]
"""Expression and legend."""


def dashboards() -> dict[Path, str]:
    """Every dashboard's file and content, as they must be."""
    return {
        FOLDER / f"{one['uid']}.json": f"{json.dumps(one, indent=2)}\n" for one in (_fleet(), _workload())
    }


def expressions(content: dict[str, Any]) -> Iterator[str]:
    """Every query of a dashboard's content, with its variables as they stand there."""
    for panel in content["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in content["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"].removeprefix("label_values(").rpartition(",")[0]
    yield from (one["expr"] for one in content["annotations"]["list"] if "expr" in one)


def _fleet() -> dict[str, Any]:
    verdicts = f"sum by (verdict) (bilgepump_workloads{{{HERE}}})"
    restarts = _events("mechanism", f"bilgepump_remediations_total{{{HERE}}}")
    ends = _events("outcome", f"bilgepump_recoveries_total{{{HERE}}}")
    profiles = _events("kind, outcome", "bilgepump_captures_total")
    holds = f"sort_desc(sum by (reason) (bilgepump_held_workloads{{{HERE}}}))"
    board = (
        _board("Bilgepump / Fleet", FLEET, "Leaks of everything that is governed: time left, done, held.")
        .with_variable(_namespaces())
        .with_panel(_count("Leaking", f'sum(bilgepump_workloads{{verdict="Leaking", {HERE}}})', RED))
        .with_panel(_count("Suspect", f'sum(bilgepump_workloads{{verdict="Suspect", {HERE}}})', YELLOW))
        .with_panel(_count("Governed", f"sum(bilgepump_workloads{{{HERE}}})"))
        .with_panel(_removed_in_time())
        .with_panel(_kills())
        .with_panel(_last_look())
        .with_panel(_by_time_left())
        .with_panel(_by_verdict(verdicts))
        .with_panel(_lines("Restarts because of a leak", 12, (restarts, "{{mechanism}}"), bars=True))
        .with_panel(_ranking("Held now, by reason", 12, (holds, "{{reason}}")))
        .with_panel(_lines("How restarts ended", 12, (ends, "{{outcome}}"), bars=True))
        .with_panel(_lines("Profiles asked for", 12, (profiles, "{{kind}} {{outcome}}"), bars=True))
        .with_row(dashboard.Row("The controller itself"))
        .with_panel(_pace())
        .with_panel(_failures())
        .with_panel(_lines("Its own memory", 8, (_OWN_MEMORY, "{{pod}}"), unit="bytes"))
    )
    return _content(board)


def _workload() -> dict[str, Any]:
    growing = "bilgepump_workload_used_bytes"
    grows = f"max(bilgepump_workload_growth_bytes_per_second{{{THIS}}}) * 3600"
    young = f"time() - max by (pod, container) (container_start_time_seconds{{{PODS}}}) < 900"
    starts = f"count({young}) or vector(0)"
    kills = f"sum(increase(container_oom_events_total{{{PODS}}}[15m])) or vector(0)"
    resident = f"max by (pod, container) (container_memory_rss{{{PODS}}})"
    board = (
        _board("Bilgepump / Workload", WORKLOAD, "One workload: memory, floor, threshold, and what was done.")
        .with_variable(_label("namespace", growing))
        .with_variable(_label("kind", f'{growing}{{namespace="$namespace"}}'))
        .with_variable(_label("name", f'{growing}{{namespace="$namespace", kind="$kind"}}'))
        .with_panel(_countdown())
        .with_panel(_amount("Grows by, per hour", grows))
        .with_panel(_amount("In use", f"max({growing}{{{THIS}}})"))
        .with_panel(_amount("Threshold", f"max(bilgepump_workload_threshold_bytes{{{THIS}}})"))
        .with_panel(_amount("After a restart", f"max(bilgepump_workload_young_floor_bytes{{{THIS}}})"))
        .with_panel(_phase())
        .with_panel(_memory_and_threshold())
        .with_panel(_projection())
        .with_panel(_lines("Resident memory", 12, (resident, "{{pod}} {{container}}"), unit="bytes"))
        .with_panel(
            _lines("Starts and kills of the last 15 minutes", 12, (starts, "started"), (kills, "killed"))
        )
        .link(dashboard.DashboardLink("Fleet").type(DashboardLinkType.LINK).url(f"/d/{FLEET}"))
    )
    content = _content(board)
    content["annotations"]["list"] = [
        _annotation("Open incident", "Detected|Captured|Held|Observed", YELLOW),
        _annotation("Restart", "Restarting|Verifying", BLUE),
        _annotation("Escalated", "Escalated", RED),
    ]
    return content


_OWN_MEMORY = "process_resident_memory_bytes and on (instance, job) bilgepump_leader"


def _board(title: str, uid: str, description: str) -> dashboard.Dashboard:
    board = dashboard.Dashboard(title).uid(uid).description(description).tags(["bilgepump"])
    board = board.time("now-24h", "now").refresh("1m").timezone("browser")
    return board.with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))


def _content(board: dashboard.Dashboard) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    content["annotations"] = {"list": []}
    for number, panel in enumerate(content["panels"], start=1):
        panel["id"] = number
        for letter, target in zip(ascii_uppercase, panel.get("targets", ()), strict=False):
            target["refId"] = letter
    return content


def _namespaces() -> dashboard.QueryVariable:
    return _label("namespace", "bilgepump_workloads").multi(True).include_all(True).all_value(".*")


def _label(name: str, series: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(name.capitalize()).datasource(SOURCE)
    return variable.query(f"label_values({series}, {name})").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _query(expression: str, legend: str = "") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)


def _steps(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    levels = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def _stat(title: str, expression: str, *, unit: str = "short", width: int = 4) -> stat.Panel:
    panel = stat.Panel().title(title).datasource(SOURCE).height(4).span(width).unit(unit)
    panel = panel.with_target(_query(expression).instant()).no_value("–").thresholds(_steps((None, "text")))
    shown = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return panel.reduce_options(shown).graph_mode(BigValueGraphMode.NONE)


def _count(title: str, expression: str, alarming: str = "text") -> stat.Panel:
    panel = _stat(title, f"{expression} or vector(0)").decimals(0)
    return panel.thresholds(_steps((None, "text"), (1, alarming)))


def _removed_in_time() -> stat.Panel:
    ended = f'bilgepump_recoveries_total{{outcome="Recovered", {HERE}}}'
    return _count("Leaks removed in time", f"sum(increase({ended}[$__range]))", GREEN).description(
        "Restarts before the limit was reached, after which memory was proven to have come down: "
        "out-of-memory kills that did not happen."
    )


def _kills() -> stat.Panel:
    kills = f'container_oom_events_total{{{HERE}, container!=""}}'
    return _count("Out-of-memory kills", f"sum(increase({kills}[$__range]))", RED).description(
        "Of all containers in these namespaces, governed or not, as cAdvisor counts them."
    )


def _last_look() -> stat.Panel:
    age = "time() - max(bilgepump_last_sweep_timestamp_seconds)"
    panel = _stat("Last look at memory", age, unit="s").decimals(0)
    return panel.thresholds(_steps((None, GREEN), (300, YELLOW), (900, RED)))


def _by_time_left() -> table.Panel:
    columns = (
        ("bilgepump_workload_threshold_seconds", "Time left", "s"),
        ("bilgepump_workload_growth_bytes_per_second", "Growth", "binBps"),
        ("bilgepump_workload_used_bytes", "In use", "bytes"),
        ("bilgepump_workload_threshold_bytes", "Threshold", "bytes"),
    )
    panel = table.Panel().title("Leaks by time left").datasource(SOURCE).height(9).span(24)
    panel = panel.description("Of workloads that leak or are suspect; those without a time left are suspect.")
    names: dict[str, str] = {}
    for (metric, title, unit), letter in zip(columns, "ABCD", strict=True):
        expression = f"max by (namespace, kind, name) ({metric}{{{HERE}}})"
        target = _query(expression).instant().format(PromQueryFormat.TABLE)
        names[f"Value #{letter}"] = title
        panel = panel.with_target(target).override_by_name(title, [DynamicConfigValue("unit", unit)])
    link = {"title": "This workload", "url": DETAILS}
    panel = panel.override_by_name("name", [DynamicConfigValue("links", [link])])
    tidy = {"excludeByName": {"Time": True}, "renameByName": names}
    return (
        panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="organize", options=tidy))
        .sort_by([common.TableSortByFieldState().display_name("Time left").desc(False)])
    )


def _lines(
    title: str, width: int, *queries: Query, unit: str = "short", bars: bool = False, stacked: bool = False
) -> timeseries.Panel:
    panel = timeseries.Panel().title(title).datasource(SOURCE).height(8).span(width).unit(unit).min(0)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    panel = panel.legend(legend.placement(LegendPlacement.BOTTOM)).line_width(1.5).fill_opacity(10)
    if bars:
        # No bar is narrower than five minutes: `$__interval` must hold several scrapes.
        panel = panel.draw_style(GraphDrawStyle.BARS).fill_opacity(60).decimals(0).interval("5m")
    if bars or stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for expression, text in queries:
        panel = panel.with_target(_query(expression, text))
    return panel


def _events(labels: str, counter: str) -> str:
    """How many in each interval; whole ones, for Prometheus extrapolates."""
    return f"round(sum by ({labels}) (increase({counter}[$__interval])))"


def _by_verdict(verdicts: str) -> timeseries.Panel:
    panel = _lines("Workloads by verdict", 12, (verdicts, "{{verdict}}"), stacked=True)
    colors = {"Leaking": RED, "Suspect": YELLOW, "Healthy": GREEN, "InsufficientData": "#9e9e9e"}
    for verdict, color in colors.items():
        panel = panel.override_by_name(verdict, [_fixed(color)])
    return panel


def _ranking(title: str, width: int, query: Query) -> bargauge.Panel:
    panel = bargauge.Panel().title(title).datasource(SOURCE).height(8).span(width).min(0).decimals(0)
    panel = panel.orientation(VizOrientation.HORIZONTAL).display_mode(BarGaugeDisplayMode.BASIC)
    return panel.with_target(_query(*query).instant()).thresholds(_steps((None, BLUE)))


def _pace() -> timeseries.Panel:
    total, count = (
        f"sum(rate(bilgepump_sweep_duration_seconds_{x}[$__rate_interval]))" for x in ("sum", "count")
    )
    buckets = "sum by (le) (rate(bilgepump_sweep_duration_seconds_bucket[$__rate_interval]))"
    slow = (f"histogram_quantile(0.99, {buckets})", "slowest in a hundred")
    return _lines("Duration of a sweep", 8, (f"{total} / {count}", "mean"), slow, unit="s")


def _failures() -> timeseries.Panel:
    parts = "sum by (part) (increase(bilgepump_sweep_failures_total[$__rate_interval]))"
    sources = "1 - max by (source) (bilgepump_metrics_source_available)"
    return _lines("Failures", 8, (parts, "{{part}}"), (sources, "source {{source}} unavailable"))


def _countdown() -> stat.Panel:
    panel = _stat("Time left", f"min(bilgepump_workload_threshold_seconds{{{THIS}}})", unit="s")
    return panel.thresholds(_steps((None, RED), (1800, YELLOW), (6 * 3600, GREEN)))


def _amount(title: str, expression: str) -> stat.Panel:
    return _stat(title, expression, unit="bytes").decimals(0)


def _phase() -> stat.Panel:
    panel = _stat("Incident", f"max by (phase) (bilgepump_open_incident{{{THIS}}})")
    panel = panel.text_mode(BigValueTextMode.NAME).no_value("none open")
    return panel.targets(
        [_query(f"max by (phase) (bilgepump_open_incident{{{THIS}}})", "{{phase}}").instant()]
    )


def _memory_and_threshold() -> timeseries.Panel:
    used = f"max by (pod, container) (container_memory_working_set_bytes{{{PODS}}})"
    limit = f"max(container_spec_memory_limit_bytes{{{PODS}}} > 0)"
    threshold = f"max(bilgepump_workload_threshold_bytes{{{THIS}}})"
    panel = _lines(
        "Memory in use, threshold and limit",
        12,
        (used, "{{pod}} {{container}}"),
        (threshold, "threshold"),
        (limit, "limit"),
        unit="bytes",
    )
    return panel.override_by_name("threshold", _dashed(YELLOW)).override_by_name("limit", _dashed(RED))


def _projection() -> timeseries.Panel:
    """The floor, and where it would be in six hours at the pace that was judged."""
    floor = f"max by (pod, container) (min_over_time(container_memory_rss{{{PODS}}}[15m]))"
    pace = f"scalar(max(bilgepump_workload_growth_bytes_per_second{{{THIS}}}))"
    worst = f"max(bilgepump_workload_used_bytes{{{THIS}}})"
    panel = _lines(
        "Floors, and memory six hours on",
        12,
        (floor, "{{pod}} {{container}}"),
        (f"{worst} + 6 * 3600 * {pace}", "in six hours"),
        (f"max(bilgepump_workload_threshold_bytes{{{THIS}}})", "threshold"),
        unit="bytes",
    )
    return panel.override_by_name("threshold", _dashed(YELLOW)).override_by_name(
        "in six hours", _dashed(BLUE)
    )


def _dashed(color: str) -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
        DynamicConfigValue("custom.fillOpacity", 0),
        _fixed(color),
    ]


def _fixed(color: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def _annotation(name: str, phases: str, color: str) -> dict[str, Any]:
    """A region for as long as an incident is in one of these phases. The library does not know its texts."""
    return {
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "enable": True,
        "iconColor": color,
        "expr": f'bilgepump_open_incident{{{THIS}, phase=~"{phases}"}}',
        "step": "60s",
        "titleFormat": "{{phase}}",
        "textFormat": "kubectl -n {{namespace}} describe memi {{incident}}",
    }


if __name__ == "__main__":
    for path, text in dashboards().items():
        path.write_text(text)
