"""
The text of every query: one per signal, for all governed namespaces at once.

The metrics engine reduces each block to one number (`min_over_time(...[5m])`), so that what travels is the
ring's own resolution. `max by (namespace, pod, container)` and never `sum`: after a restart the series of the
old container lingers for minutes, and a sum would double (cAdvisor issue 2844, kubernetes-mixin issue 1091).
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from controller.metrics.series import Signal
from controller.policy.memory_policy import LatencyRule, RequestRate, Series

LONGEST_NAMES_BYTES = 3072
"""
How long the names in one query may be, as they stand in its URL. A query names them twice at most, and nginx
(`large_client_header_buffers`) and Apache (`LimitRequestLine`) take 8 KiB by default.
"""

BY_CONTAINER = "max by (namespace, pod, container)"
RESTARTS = "kube_pod_container_status_restarts_total"

_REDUCED: dict[Signal, tuple[str, str]] = {
    Signal.RSS_FLOOR: ("min_over_time", "container_memory_rss"),
    Signal.RSS_TOP: ("max_over_time", "container_memory_rss"),
    Signal.WORKING_SET_FLOOR: ("min_over_time", "container_memory_working_set_bytes"),
    Signal.WORKING_SET_TOP: ("max_over_time", "container_memory_working_set_bytes"),
    Signal.START_TIME: ("last_over_time", "container_start_time_seconds"),
    Signal.RESTARTS: ("last_over_time", RESTARTS),
    Signal.CACHE_FLOOR: ("min_over_time", "container_memory_cache"),
    Signal.ACTIVE_FILE: ("last_over_time", "container_memory_total_active_file_bytes"),
    Signal.HEAP_FLOOR: ("min_over_time", "go_memstats_heap_inuse_bytes"),
    Signal.NEXT_GC_FLOOR: ("min_over_time", "go_memstats_next_gc_bytes"),
    Signal.GOROUTINES_FLOOR: ("min_over_time", "go_goroutines"),
}

_RUNTIME = {Signal.HEAP_FLOOR, Signal.NEXT_GC_FLOOR, Signal.GOROUTINES_FLOOR}
"""Told by the process itself: its series may lack a container label."""

SIGNALS: tuple[Signal, ...] = (*_REDUCED, Signal.LIMIT)
"""Every signal that a query is made for whatever the policies say."""

HISTORY_SIGNALS: tuple[Signal, ...] = tuple(one for one in SIGNALS if one is not Signal.NEXT_GC_FLOOR)
"""What is asked of the time before the lookback: all that is judged by, so that a replay of files agrees."""


def query(signal: Signal, namespaces: Iterable[str], block_seconds: int) -> str:
    """PromQL for one number per container and block of `signal`, in `namespaces` (at least one)."""
    inside = namespace_matcher(namespaces)
    window = f"[{block_seconds}s]"
    if signal is Signal.LIMIT:
        cadvisor = f"last_over_time(container_spec_memory_limit_bytes{{{inside},{_real()}}}{window})"
        declared = f'last_over_time(kube_pod_container_resource_limits{{{inside},resource="memory"}}{window})'
        return f"{BY_CONTAINER} ({cadvisor} > 0) or {BY_CONTAINER} ({declared})"
    function, metric = _REDUCED[signal]
    chosen = inside if signal in _RUNTIME else f"{inside},{_real()}"
    return f"{BY_CONTAINER} ({function}({metric}{{{chosen}}}{window}))"


def request_rate_query(rate: RequestRate, namespace: str, window_seconds: int) -> str:
    """PromQL for the requests per second of every pod of `namespace`, as `rate` names them."""
    labels = ",".join([namespace_matcher([namespace]), *_label_matchers(rate.match_labels)])
    return f"sum by (namespace, pod) (rate({rate.metric}{{{labels}}}[{window_seconds}s]))"


def increase_query(series: Series, namespace: str, pods: Iterable[str], window_seconds: int) -> str:
    """PromQL for how much the counters of `series` rose in the window, over all of these pods together."""
    return f"sum(increase({series.metric}{_of_pods(series, namespace, pods)}[{window_seconds}s]))"


def quantile_query(rule: LatencyRule, namespace: str, pods: Iterable[str], window_seconds: int) -> str:
    """PromQL for the quantile of a classic histogram over the window, in seconds."""
    buckets = f"{rule.histogram.metric}_bucket{_of_pods(rule.histogram, namespace, pods)}"
    return f"histogram_quantile({rule.quantile:g}, sum by (le) (increase({buckets}[{window_seconds}s])))"


def _of_pods(series: Series, namespace: str, pods: Iterable[str]) -> str:
    matchers = [
        namespace_matcher([namespace]),
        f"pod=~{quoted(_any_of(sorted(pods)))}",
        *_label_matchers(series.match_labels),
        *(f"{key}=~{quoted(pattern)}" for key, pattern in series.match_patterns),
    ]
    return f"{{{','.join(matchers)}}}"


def _label_matchers(labels: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{key}={quoted(value)}" for key, value in labels]


def namespace_matcher(namespaces: Iterable[str]) -> str:
    """A label matcher for exactly these namespaces."""
    names = sorted(set(namespaces))
    if len(names) == 1:
        return f"namespace={quoted(names[0])}"
    return f"namespace=~{quoted(_any_of(names))}"


def fitting(names: Sequence[str]) -> Sequence[str]:
    """The first of `names` (at least one) that fit in one query together."""
    left = LONGEST_NAMES_BYTES
    for count, name in enumerate(names):
        left -= len(quote(quoted(_any_of(["", name]))[1:-1], safe=""))
        if left < 0:
            return names[: max(count, 1)]
    return names


def _any_of(names: Iterable[str]) -> str:
    """A regular expression for exactly these names; hyphens, of which they have many, need no escape."""
    return "|".join(re.escape(name).replace("\\-", "-") for name in names)


def quoted(text: str) -> str:
    """A PromQL string literal that means exactly `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _real() -> str:
    """Leaves out the pod's own group and its pause container."""
    return 'container!="",container!="POD"'
