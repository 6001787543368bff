"""How requests are served, asked of a real Prometheus whose last hour was written beforehand."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.policy.memory_policy import ErrorRatioRule, LatencyRule, Series, VerificationRules
from controller.ports import MetricsUnavailable, ServiceRequest
from tests.backfill import prometheus_that_remembers

pytestmark = pytest.mark.go

STEP = 15
HOUR = 3600
WINDOW = timedelta(minutes=10)
RULES = VerificationRules(
    error_ratio=ErrorRatioRule(
        requests=Series(metric="http_requests_total", match_labels=(("route", "/orders"),)),
        errors=Series(
            metric="http_requests_total",
            match_labels=(("route", "/orders"),),
            match_patterns=(("code", "5.."),),
        ),
    ),
    latency=LatencyRule(histogram=Series(metric="http_request_duration_seconds"), quantile=0.9),
)
RATES = {
    # Requests per second by namespace, pod, route and code.
    ("shop", "api-1", "/orders", "200"): 10.0,
    ("shop", "api-1", "/orders", "503"): 0.5,
    ("shop", "api-1", "/health", "500"): 99.0,
    ("shop", "api-2", "/orders", "200"): 9.5,
    # Neither another workload's pods nor another namespace's count.
    ("shop", "api-10", "/orders", "500"): 99.0,
    ("bank", "api-1", "/orders", "500"): 99.0,
    ("shop", "idle-1", "/orders", "200"): 0.01,
    ("shop", "fine-1", "/orders", "200"): 10.0,
}
SHARES = {"0.1": 0.5, "0.5": 0.8, "1": 1.0, "+Inf": 1.0}
"""Of the durations, by the upper bound of their bucket."""


def exposition(start: int, end: int) -> str:
    lines = ["# TYPE http_requests counter"]
    for (namespace, pod, route, code), rate in RATES.items():
        labels = f'{{namespace="{namespace}",pod="{pod}",route="{route}",code="{code}"}}'
        lines += [f"http_requests_total{labels} {rate * (at - start)} {at}" for at in range(start, end, STEP)]
    lines.append("# TYPE http_request_duration_seconds histogram")
    for at in range(start, end, STEP):
        labels = 'namespace="shop",pod="api-1"'
        count = 10 * (at - start)
        lines += [
            f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count * share} {at}'
            for bound, share in SHARES.items()
        ]
        lines.append(f"http_request_duration_seconds_count{{{labels}}} {count} {at}")
        lines.append(f"http_request_duration_seconds_sum{{{labels}}} {count * 0.3} {at}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.fromtimestamp(int(time.time()) // STEP * STEP, UTC)


@pytest.fixture(scope="module")
def source(now: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusMemorySource]:
    end = int(now.timestamp())
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with prometheus_that_remembers(exposition(end - HOUR, end + STEP), folder) as url:
        source = PrometheusMemorySource(PrometheusSettings(name="default", url=url))
        yield source
        source.close()


def of(*replicas: str, rules: VerificationRules = RULES) -> ServiceRequest:
    return ServiceRequest(namespace="shop", replicas=replicas, rules=rules, window=WINDOW)


async def test_error_ratio_and_latency_of_these_pods_alone(
    source: PrometheusMemorySource, now: datetime
) -> None:
    level = await source.service_level(of("api-1", "api-2"), now)

    assert level.requests == pytest.approx(20 * 600, rel=0.03)
    assert level.error_ratio == pytest.approx(0.5 / 20, rel=0.03)
    # Nine tenths lie in the middle of the bucket from 0.5 s to 1 s.
    assert level.latency_seconds == pytest.approx(0.75, rel=0.01)
    assert level.unmeasured_because == ""


async def test_errors_that_nobody_has_met_are_none(source: PrometheusMemorySource, now: datetime) -> None:
    level = await source.service_level(of("fine-1"), now)
    assert level.error_ratio == 0.0
    assert level.latency_seconds is None
    assert level.unmeasured_because == "latency: no data of its requests in 10m"


@pytest.mark.parametrize(
    ("pod", "why"), [("idle-1", "only 6 requests in 10m"), ("gone-1", "no data of its requests in 10m")]
)
async def test_too_little_is_told_and_not_guessed(
    source: PrometheusMemorySource, now: datetime, pod: str, why: str
) -> None:
    level = await source.service_level(of(pod), now)
    assert level.error_ratio is None
    assert f"error ratio: {why}" in level.unmeasured_because


async def test_window_ends_when_it_is_asked_to(source: PrometheusMemorySource, now: datetime) -> None:
    before_anything = now - timedelta(hours=2)
    level = await source.service_level(of("api-1"), before_anything)
    assert (level.requests, level.may_come) == (None, True)


async def test_pattern_that_the_engine_refuses_is_told_by_the_engine(
    source: PrometheusMemorySource, now: datetime
) -> None:
    # Python knows lookaheads, RE2 does not.
    errors = Series(metric="http_requests_total", match_patterns=(("code", "(?=5).."),))
    rules = VerificationRules(error_ratio=ErrorRatioRule(requests=Series(metric="a"), errors=errors))
    with pytest.raises(MetricsUnavailable, match="default"):
        await source.service_level(of("api-1", rules=rules), now)
