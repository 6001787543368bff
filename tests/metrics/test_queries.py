"""The text of queries: what is asked of an engine, and that names cannot change the question."""

import pytest

from controller.metrics.queries import (
    SIGNALS,
    increase_query,
    namespace_matcher,
    quantile_query,
    query,
    request_rate_query,
)
from controller.metrics.series import Signal
from controller.policy.memory_policy import LatencyRule, RequestRate, Series


def test_floor_is_reduced_by_the_engine_and_never_summed() -> None:
    assert query(Signal.RSS_FLOOR, ["shop"], 300) == (
        "max by (namespace, pod, container) (min_over_time(container_memory_rss"
        '{namespace="shop",container!="",container!="POD"}[300s]))'
    )


@pytest.mark.parametrize("signal", SIGNALS, ids=str)
def test_every_signal_is_asked_for_all_namespaces_at_once(signal: Signal) -> None:
    text = query(signal, ["till", "shop", "shop"], 60)

    assert 'namespace=~"shop|till"' in text
    assert "[60s]" in text
    assert "sum" not in text


def test_limit_falls_back_to_what_the_pod_declares() -> None:
    text = query(Signal.LIMIT, ["shop"], 300)

    assert "container_spec_memory_limit_bytes" in text
    assert "> 0) or" in text
    assert 'kube_pod_container_resource_limits{namespace="shop",resource="memory"}' in text


def test_names_are_quoted_so_that_they_stay_names() -> None:
    assert namespace_matcher(["a.b", 'x"}) or vector(1)']) == (
        r'namespace=~"a\\.b|x\"\\}\\)\\ or\\ vector\\(1\\)"'
    )


def test_request_rate_is_summed_per_pod_of_its_namespace() -> None:
    rate = RequestRate(metric="http_requests_total", match_labels=(("code", "200"),))

    assert request_rate_query(rate, "shop", 240) == (
        'sum by (namespace, pod) (rate(http_requests_total{namespace="shop",code="200"}[240s]))'
    )


ERRORS = Series(
    metric="http_requests_total",
    match_labels=(("route", 'a"} or vector(1)'),),
    match_patterns=(("code", '5..|"} or up{'),),
)


def test_counters_are_summed_over_the_pods_of_one_namespace_whatever_the_labels_say() -> None:
    assert increase_query(ERRORS, "shop", ["api-2", "api-1"], 600) == (
        r'sum(increase(http_requests_total{namespace="shop",pod=~"api-1|api-2",'
        r'route="a\"} or vector(1)",code=~"5..|\"} or up{"}[600s]))'
    )


def test_quantile_is_that_of_all_pods_together() -> None:
    rule = LatencyRule(histogram=Series(metric="http_request_duration_seconds"), quantile=0.99)
    assert quantile_query(rule, "shop", ["a"], 120) == (
        "histogram_quantile(0.99, sum by (le) (increase("
        'http_request_duration_seconds_bucket{namespace="shop",pod=~"a"}[120s])))'
    )
