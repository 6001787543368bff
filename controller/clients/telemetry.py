"""Our own metrics, held by prometheus-client as `controller.reporting.telemetry` lists them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from controller.decision.mechanism import Mechanism
from controller.detection.assessment import Assessment
from controller.evidence.kept import FileKind
from controller.policy.memory_policy import Mode
from controller.reporting import telemetry as catalogue
from controller.reporting.census import Census
from controller.reporting.telemetry import Metric, MetricKind
from controller.verification.recovery import RecoveryOutcome

_OF_GROWING: dict[Metric, Callable[[Assessment], float | None]] = {
    catalogue.WORKLOAD_USED: lambda one: one.used_bytes,
    catalogue.WORKLOAD_THRESHOLD: lambda one: one.threshold_bytes,
    catalogue.WORKLOAD_YOUNG_FLOOR: lambda one: one.young_floor_bytes,
    catalogue.WORKLOAD_GROWTH: lambda one: one.growth.bytes_per_hour / 3600 if one.growth else None,
}

_OF_SWEEP = (
    catalogue.POLICIES,
    catalogue.WORKLOADS,
    catalogue.HELD_WORKLOADS,
    catalogue.INCIDENTS,
    catalogue.TIME_TO_THRESHOLD,
    *_OF_GROWING,
    catalogue.UNACKNOWLEDGED,
    catalogue.OPEN_INCIDENT,
    catalogue.METRICS_AVAILABLE,
)


def _known(
    values: Iterable[tuple[tuple[str, ...], float | None]],
) -> Iterator[tuple[tuple[str, ...], float]]:
    return ((labels, value) for labels, value in values if value is not None)


class PrometheusTelemetry:
    """A `ports.Telemetry` that Prometheus can scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._metrics_asked = 0
        self._counters: dict[Metric, Counter] = {}
        self._gauges: dict[Metric, Gauge] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in catalogue.METRICS:
            self._register(metric)
        for kind in FileKind:
            for outcome in ("kept", "failed"):
                self._counters[catalogue.CAPTURES].labels(kind.value, outcome)

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

    def notified(self, receiver: str, outcome: str) -> None:
        """A notification was delivered, put off or given up."""
        self._counters[catalogue.NOTIFICATIONS].labels(receiver, outcome).inc()

    def failed(self, part: str) -> None:
        """Part of a sweep ended in an error."""
        self._counters[catalogue.SWEEP_FAILURES].labels(part).inc()

    def spent(self, metrics_asked: int, dollars_per_month: float) -> None:
        """How many metrics CloudWatch was asked for so far, and what that costs a month."""
        self._counters[catalogue.CLOUDWATCH_METRICS].inc(max(metrics_asked - self._metrics_asked, 0))
        self._metrics_asked = metrics_asked
        self._gauges[catalogue.CLOUDWATCH_DOLLARS].set(dollars_per_month)

    def leads(self, leader: bool) -> None:
        """Whether this process holds the Lease. What its last sweep found goes with it."""
        self._gauges[catalogue.LEADER].set(int(leader))
        if not leader:
            for metric in _OF_SWEEP:
                self._gauges[metric].clear()

    def sweeps_every(self, interval: timedelta) -> None:
        """How often this process is to sweep."""
        self._gauges[catalogue.SWEEP_INTERVAL].set(interval.total_seconds())

    def evidence_limited(self, maximum_bytes: int) -> None:
        """How much evidence may be kept."""
        self._gauges[catalogue.EVIDENCE_LIMIT].set(maximum_bytes)

    def evidence_kept(self, kept_bytes: int) -> None:
        """How much evidence is kept."""
        self._gauges[catalogue.EVIDENCE_BYTES].set(kept_bytes)

    def swept(self, census: Census, duration_seconds: float, now: datetime) -> None:
        """A sweep has ended."""
        self._begin_counting(census)
        self._histograms[catalogue.SWEEP_DURATION].observe(duration_seconds)
        self._gauges[catalogue.LAST_SWEEP].set(now.timestamp())
        policies = {("true",): census.accepted_policies, ("false",): census.rejected_policies}
        self._replace(catalogue.POLICIES, policies.items())
        self._replace(catalogue.WORKLOADS, census.workloads.items())
        self._replace(catalogue.HELD_WORKLOADS, census.holds.items())
        self._replace(catalogue.INCIDENTS, census.incidents.items())
        self._replace(catalogue.TIME_TO_THRESHOLD, census.threshold_seconds.items())
        growing = {(ref.namespace, ref.kind, ref.name): record for ref, record in census.growing.items()}
        for metric, value in _OF_GROWING.items():
            self._replace(metric, _known((labels, value(one)) for labels, one in growing.items()))
        self._replace(
            catalogue.UNACKNOWLEDGED,
            (((ref.namespace, ref.kind, ref.name), 1) for ref in census.unacknowledged),
        )
        self._replace(
            catalogue.OPEN_INCIDENT,
            (
                ((ref.namespace, ref.kind, ref.name, incident, phase), 1)
                for ref, incident, phase in census.open_incidents
            ),
        )
        self._replace(
            catalogue.METRICS_AVAILABLE, [((name,), int(here)) for name, here in census.sources.items()]
        )

    def _begin_counting(self, census: Census) -> None:
        """
        From zero, where something may be counted soon: what appears as 1 is no increase to Prometheus.

        Only for namespaces in which a policy may act, so that their number is bounded by these.
        """
        acting = {
            item.workload.ref.namespace for item in census.decided if item.policy.mode is Mode.REMEDIATE
        }
        for namespace in acting:
            for mechanism in Mechanism:
                self._counters[catalogue.REMEDIATIONS].labels(namespace, mechanism.value)
            for outcome in RecoveryOutcome:
                if outcome.final:
                    self._counters[catalogue.RECOVERIES].labels(namespace, outcome.value)

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
