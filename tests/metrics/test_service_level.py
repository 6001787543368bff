"""What counts say about how requests are served, and when they are too few to say anything."""

from datetime import timedelta

import pytest

from controller.metrics.service_level import ServiceLevel, with_errors, with_latency

WINDOW = timedelta(minutes=10)
NOTHING = ServiceLevel(window=WINDOW)


@pytest.mark.parametrize(
    ("requests", "errors", "ratio", "why"),
    [
        (1000.0, 20.0, 0.02, ""),
        (1000.0, None, 0.0, ""),
        # `increase` extrapolates each counter for itself.
        (100.0, 100.4, 1.0, ""),
        (99.0, 50.0, None, "error ratio: only 99 requests in 10m, at least 100 are needed"),
        (None, None, None, "error ratio: no data of its requests in 10m"),
    ],
)
def test_error_ratio_needs_enough_requests(
    requests: float | None, errors: float | None, ratio: float | None, why: str
) -> None:
    level = with_errors(NOTHING, requests, errors)
    assert level.error_ratio == ratio
    assert level.unmeasured_because == why
    assert level.may_come is (requests is None)


@pytest.mark.parametrize(
    ("observations", "seconds", "known", "why"),
    [
        (500.0, 0.25, 0.25, ""),
        (5.0, 0.25, None, "latency: only 5 requests in 10m, at least 100 are needed"),
        (500.0, None, None, "latency: no such histogram"),
        (None, None, None, "latency: no data of its requests in 10m"),
    ],
)
def test_latency_needs_enough_observations(
    observations: float | None, seconds: float | None, known: float | None, why: str
) -> None:
    level = with_latency(NOTHING, observations, seconds)
    assert level.latency_seconds == known
    assert level.unmeasured_because == why


def test_one_that_is_unknown_does_not_hide_the_other() -> None:
    level = with_latency(with_errors(NOTHING, 1000, 1), None, None)
    assert (level.requests, level.error_ratio, level.latency_seconds) == (1000, 0.001, None)
    assert level.unmeasured_because.startswith("latency")
    both = with_latency(with_errors(NOTHING, None, None), None, None)
    assert both.unmeasured_because.count("no data") == 2
