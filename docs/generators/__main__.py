"""Writes every generated page: `python -m docs.generators`."""

from docs.generators import (
    alert_rules,
    chart_values,
    cluster_policy,
    dashboards,
    events_reference,
    metrics_reference,
    policy_reference,
)

policy_reference.PAGE.write_text(policy_reference.page())
policy_reference.INCIDENT_PAGE.write_text(policy_reference.incident_page())
cluster_policy.CLUSTER_DEFINITION.write_text(cluster_policy.text())
cluster_policy.PAGE.write_text(cluster_policy.page())
chart_values.README.write_text(chart_values.page())
chart_values.PAGE.write_text(chart_values.values_page())
events_reference.EVENTS_PAGE.write_text(events_reference.events_page())
events_reference.GATES_PAGE.write_text(events_reference.gates_page())
metrics_reference.PAGE.write_text(metrics_reference.page())
alert_rules.ALERT_RULES.write_text(alert_rules.alert_rules())
alert_rules.RECORDING_RULES.write_text(alert_rules.recording_rules())
alert_rules.PAGE.write_text(alert_rules.alerts_page())
for path, text in dashboards.dashboards().items():
    path.write_text(text)
