"""The text of queries: what is asked of an engine, and that names cannot change the question."""

import pytest

from controller.metrics.queries import SIGNALS, namespace_matcher, query, request_rate_query
from controller.metrics.series import Signal
from controller.policy.memory_policy import RequestRate


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
