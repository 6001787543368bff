"""Writes every generated page: `python -m docs.generators`."""

from docs.generators import chart_values, events_reference, metrics_reference, policy_reference

policy_reference.PAGE.write_text(policy_reference.page())
chart_values.README.write_text(chart_values.page())
events_reference.EVENTS_PAGE.write_text(events_reference.events_page())
events_reference.GATES_PAGE.write_text(events_reference.gates_page())
metrics_reference.PAGE.write_text(metrics_reference.page())
