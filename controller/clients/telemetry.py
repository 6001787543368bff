"""Our own metrics, held by prometheus-client as `controller.reporting.telemetry` lists them."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from controller.reporting import telemetry as catalogue
from controller.reporting.census import Census
from controller.reporting.telemetry import Metric, MetricKind


class PrometheusTelemetry:
    """A `ports.Telemetry` that Prometheus can scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._counters: dict[Metric, Counter] = {}
        self._gauges: dict[Metric, Gauge] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in catalogue.METRICS:
            self._register(metric)

    def exposition(self) -> bytes:
        """What a scrape of /metrics answers."""
        return generate_latest(self._registry)

    def held(self, namespace: str, reason: str) -> None:
        """A hold has begun."""
        self._counters[catalogue.HOLDS_TOTAL].labels(namespace, reason).inc()

    def remediated(self, namespace: str, mechanism: str) -> None:
        """A remediation was carried out."""
        self._counters[catalogue.REMEDIATIONS].labels(namespace, mechanism).inc()

    def recovered(self, namespace: str, outcome: str) -> None:
        """A recovery is known."""
        self._counters[catalogue.RECOVERIES].labels(namespace, outcome).inc()

    def captured(self, kind: str, outcome: str) -> None:
        """A profile was asked for."""
        self._counters[catalogue.CAPTURES].labels(kind, outcome).inc()

    def failed(self, part: str) -> None:
        """Part of a sweep ended in an error."""
        self._counters[catalogue.SWEEP_FAILURES].labels(part).inc()

    def leads(self, leader: bool) -> None:
        """Whether this process holds the Lease."""
        self._gauges[catalogue.LEADER].set(int(leader))

    def swept(self, census: Census, duration_seconds: float, now: datetime) -> None:
        """A sweep has ended."""
        self._histograms[catalogue.SWEEP_DURATION].observe(duration_seconds)
        self._gauges[catalogue.LAST_SWEEP].set(now.timestamp())
        policies = {("true",): census.accepted_policies, ("false",): census.rejected_policies}
        self._replace(catalogue.POLICIES, policies.items())
        self._replace(catalogue.WORKLOADS, census.workloads.items())
        self._replace(catalogue.HELD_WORKLOADS, census.holds.items())
        self._replace(catalogue.INCIDENTS, census.incidents.items())
        self._replace(catalogue.TIME_TO_THRESHOLD, census.threshold_seconds.items())
        self._replace(
            catalogue.METRICS_AVAILABLE, [((name,), int(here)) for name, here in census.sources.items()]
        )

    def _replace(self, metric: Metric, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """All label sets at once, so that what is gone no longer shows."""
        gauge = self._gauges[metric]
        gauge.clear()
        for labels, value in values:
            gauge.labels(*labels).set(value)

    def _register(self, metric: Metric) -> None:
        match metric.kind:
            case MetricKind.COUNTER:
                self._counters[metric] = Counter(
                    metric.name, metric.meaning, metric.labels, registry=self._registry
                )
            case MetricKind.GAUGE:
                self._gauges[metric] = Gauge(
                    metric.name, metric.meaning, metric.labels, registry=self._registry
                )
            case MetricKind.HISTOGRAM:
                self._histograms[metric] = Histogram(
                    metric.name,
                    metric.meaning,
                    metric.labels,
                    registry=self._registry,
                    buckets=metric.buckets,
                )
