from collections.abc import Callable
from pathlib import Path

import pytest

from controller.decision.outcome import HoldReason
from controller.reporting.reasons import EVENTS, HOLDS, EventReason
from controller.reporting.telemetry import METRICS
from docs.generators import (
    alert_rules,
    chart_values,
    cluster_policy,
    dashboards,
    events_reference,
    metrics_reference,
    policy_reference,
)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        pytest.param(events_reference.EVENTS_PAGE, events_reference.events_page, id="events.md"),
        pytest.param(events_reference.GATES_PAGE, events_reference.gates_page, id="gates.md"),
        pytest.param(cluster_policy.PAGE, cluster_policy.page, id="cluster-policy.md"),
        pytest.param(cluster_policy.CLUSTER_DEFINITION, cluster_policy.text, id="clustermemorypolicy.yaml"),
        pytest.param(metrics_reference.PAGE, metrics_reference.page, id="metrics.md"),
        pytest.param(policy_reference.INCIDENT_PAGE, policy_reference.incident_page, id="incident.md"),
        pytest.param(chart_values.PAGE, chart_values.values_page, id="values.md"),
        pytest.param(alert_rules.PAGE, alert_rules.alerts_page, id="alerts.md"),
        pytest.param(alert_rules.ALERT_RULES, alert_rules.alert_rules, id="alerts.yaml"),
        pytest.param(alert_rules.RECORDING_RULES, alert_rules.recording_rules, id="recording.yaml"),
        *(
            pytest.param(path, lambda text=text: text, id=path.name)
            for path, text in dashboards.dashboards().items()
        ),
    ],
)
def test_generated_page_is_up_to_date(path: Path, page: Callable[[], str]) -> None:
    assert path.read_text() == page(), "run `make generate`"


def test_every_reason_is_in_the_catalogue() -> None:
    assert set(EVENTS) == set(EventReason)
    assert set(HOLDS) == set(HoldReason)


def test_metric_names_follow_prometheus() -> None:
    for metric in METRICS:
        assert metric.name.startswith("bilgepump_")
        assert (metric.kind.value == "counter") == metric.name.endswith("_total")
