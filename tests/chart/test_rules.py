"""Alert rules and dashboards: every expression asks for what exists, and says what it should."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.reporting.telemetry import METRICS, MetricKind
from docs.generators.alert_rules import ALERT_RULES, RECORDING_RULES, alerts
from docs.generators.dashboards import dashboards, expressions
from tests.chart.rendering import URL, of_kind, render
from tests.cluster.binaries import build

TESTS = Path(__file__).parent / "alerts.test.yaml"
#: What is asked for besides our own metrics, and who tells it.
OTHERS = {
    "container_memory_rss",
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_oom_events_total",
    "container_start_time_seconds",
    "process_resident_memory_bytes",
}


def our_series() -> set[str]:
    """The names under which our metrics are scraped."""
    plain = {metric.name for metric in METRICS if metric.kind is not MetricKind.HISTOGRAM}
    histograms = {metric.name for metric in METRICS if metric.kind is MetricKind.HISTOGRAM}
    return plain | {f"{name}_{part}" for name in histograms for part in ("sum", "count", "bucket")}


def all_expressions() -> Iterator[str]:
    for path in (ALERT_RULES, RECORDING_RULES):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    for text in dashboards().values():
        yield from expressions(json.loads(text))


@pytest.mark.parametrize("expression", sorted(set(all_expressions())))
def test_every_expression_asks_for_metrics_that_exist(expression: str) -> None:
    names = set(re.findall(r"\b(?:bilgepump|container|process)_\w+", expression))
    assert names, "an expression without a metric"
    assert names <= our_series() | OTHERS


def test_every_alert_is_tested_where_it_fires_and_where_it_must_not() -> None:
    fires: defaultdict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            fires[case["alertname"]].add(bool(case["exp_alerts"]))
    assert fires == {alert.name: {True, False} for alert in alerts()}


@pytest.mark.go
def test_rules_say_what_they_should(tmp_path: Path) -> None:
    promtool = build(("promtool",))["promtool"]
    for path in (ALERT_RULES, RECORDING_RULES, TESTS):
        shutil.copy(path, tmp_path)
    for arguments in (
        ("check", "rules", ALERT_RULES.name, RECORDING_RULES.name),
        ("test", "rules", TESTS.name),
    ):
        said = subprocess.run(
            [promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.go
def test_chart_ships_the_rules_and_lets_them_be_changed() -> None:
    (rule,) = of_kind(
        render(
            URL,
            "prometheusRule.enabled=true",
            "prometheusRule.labels.release=kps",
            "prometheusRule.alertLabels.team=platform",
            "prometheusRule.disabled={BilgepumpRestartsOften}",
            "prometheusRule.runbookUrl=https://wiki.example.com/bilgepump",
            "prometheusRule.recordingRules=true",
            "prometheusRule.extraGroups[0].name=mine,prometheusRule.extraGroups[0].rules={}",
        ),
        "PrometheusRule",
    )
    assert rule["metadata"]["labels"]["release"] == "kps"
    ours, recording, mine = rule["spec"]["groups"]
    rules: dict[str, dict[str, Any]] = {one["alert"]: one for one in ours["rules"]}
    assert set(rules) == {alert.name for alert in alerts()} - {"BilgepumpRestartsOften"}
    blind = rules["BilgepumpControllerBlind"]
    assert blind["labels"] == {"severity": "critical", "team": "platform"}
    assert (
        blind["annotations"]["runbook_url"] == "https://wiki.example.com/bilgepump#bilgepumpcontrollerblind"
    )
    assert "{{ $value | humanizeDuration }}" in blind["annotations"]["summary"]
    assert recording["rules"] == yaml.safe_load(RECORDING_RULES.read_text())["groups"][0]["rules"]
    assert mine["name"] == "mine"


@pytest.mark.go
def test_chart_ships_the_dashboards_for_grafanas_sidecar() -> None:
    objects = render(URL, "dashboards.enabled=true", "dashboards.namespace=grafana")
    shipped = [one for one in of_kind(objects, "ConfigMap") if "dashboard" in one["metadata"]["name"]]
    content: dict[str, Any] = {}
    for one in shipped:
        assert one["metadata"]["namespace"] == "grafana"
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        content |= one["data"]
    assert content == {path.name: text for path, text in dashboards().items()}
