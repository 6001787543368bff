"""The dashboards are what Grafana's own types know, and nothing in them leads nowhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from controller.reporting.telemetry import METRICS, MetricKind
from docs.generators.dashboards import FLEET, WORKLOAD, dashboards, expressions

BUILT_IN = {
    "__rate_interval",
    "__interval",
    "__range",
    "__data.fields.namespace",
    "__data.fields.kind",
    "__data.fields.name",
}
VARIABLE = re.compile(r"\$(?:\{([\w.]+)[^}]*\}|(\w+))")
ANNOTATION_TEXTS = {"step", "titleFormat", "textFormat"}
"""Of the Prometheus data source's annotations; Grafana's schema has no types for what data sources add."""


@pytest.fixture(params=dashboards(), ids=lambda path: path.stem)
def content(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path, value


def test_files_are_what_the_generator_writes() -> None:
    assert all(path.read_text() == text for path, text in dashboards().items())


def test_grafanas_types_know_every_field(content: dict[str, Any]) -> None:
    register_default_plugins()
    for annotation in content["annotations"]["list"]:
        for name in ANNOTATION_TEXTS:
            annotation.pop(name, None)
        annotation["hide"] = False
    read = json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder))
    assert read == content


def test_nothing_is_null_but_the_first_step_of_thresholds(content: dict[str, Any]) -> None:
    nulls = {path for path, value in leaves(content) if value is None}
    assert nulls <= {".panels[].fieldConfig.defaults.thresholds.steps[].value"}


def test_every_variable_is_defined(content: dict[str, Any]) -> None:
    defined = {one["name"] for one in content["templating"]["list"]} | BUILT_IN
    used = {
        match[1] or match[2]
        for path, value in leaves(content)
        if isinstance(value, str)
        for match in VARIABLE.finditer(value)
    }
    assert used <= defined
    assert {one["name"] for one in content["templating"]["list"]} <= used, "a variable nobody asks for"


def test_links_give_the_other_dashboard_all_its_variables() -> None:
    texts = {path.stem: json.loads(text) for path, text in dashboards().items()}
    link = next(value for path, value in leaves(texts[FLEET]) if path.endswith(".url") and WORKLOAD in value)
    asked = {one["name"] for one in texts[WORKLOAD]["templating"]["list"]}
    assert set(re.findall(r"var-(\w+)=", link)) == asked


def test_panels_and_queries_can_be_told_apart(content: dict[str, Any]) -> None:
    panels = content["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    for panel in panels:
        references = [one["refId"] for one in panel.get("targets", ())]
        assert all(references)
        assert len(set(references)) == len(references)


def test_panels_have_titles_and_do_not_cover_each_other(content: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in squares) < 24
        assert not squares & taken
        taken |= squares


def test_every_series_is_in_the_catalogue(content: dict[str, Any]) -> None:
    known = {metric.name for metric in METRICS if metric.kind is not MetricKind.HISTOGRAM}
    for metric in METRICS:
        if metric.kind is MetricKind.HISTOGRAM:
            known |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    used = {name for text in expressions(content) for name in re.findall(r"\bbilgepump_\w+", text)}
    assert used
    assert used <= known
