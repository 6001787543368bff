from collections.abc import Callable
from pathlib import Path

import pytest

from controller.decision.outcome import HoldReason
from controller.reporting.reasons import EVENTS, HOLDS, EventReason
from controller.reporting.telemetry import METRICS
from docs.generators import events_reference, metrics_reference


@pytest.mark.parametrize(
    ("path", "page"),
    [
        pytest.param(events_reference.EVENTS_PAGE, events_reference.events_page, id="events.md"),
        pytest.param(events_reference.GATES_PAGE, events_reference.gates_page, id="gates.md"),
        pytest.param(metrics_reference.PAGE, metrics_reference.page, id="metrics.md"),
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
