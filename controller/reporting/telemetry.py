"""The catalogue of our own metrics: name, kind, labels, meaning. `docs/metrics.md` is generated from it."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of ours."""

    name: str
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


SWEEP_DURATION = Metric(
    "bilgepump_sweep_duration_seconds",
    MetricKind.HISTOGRAM,
    "Wall time of one sweep.",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
)
LAST_SWEEP = Metric(
    "bilgepump_last_sweep_timestamp_seconds",
    MetricKind.GAUGE,
    "When the last sweep ended, in Unix time. The controller is blind while this stands still.",
)
SWEEP_FAILURES = Metric(
    "bilgepump_sweep_failures_total",
    MetricKind.COUNTER,
    "Sweeps, or one workload's part of a sweep, that ended in an error.",
    ("part",),
)
LEADER = Metric("bilgepump_leader", MetricKind.GAUGE, "1 while this process holds the Lease.")
POLICIES = Metric(
    "bilgepump_policies", MetricKind.GAUGE, "Policies by whether they are accepted.", ("accepted",)
)
WORKLOADS = Metric(
    "bilgepump_workloads", MetricKind.GAUGE, "Governed workloads by verdict.", ("namespace", "verdict")
)
TIME_TO_THRESHOLD = Metric(
    "bilgepump_workload_threshold_seconds",
    MetricKind.GAUGE,
    "Likely time until a leaking workload reaches its threshold.",
    ("namespace", "kind", "name"),
)
HELD_WORKLOADS = Metric(
    "bilgepump_held_workloads",
    MetricKind.GAUGE,
    "Workloads that are held now, by reason.",
    ("namespace", "reason"),
)
HOLDS_TOTAL = Metric(
    "bilgepump_holds_total", MetricKind.COUNTER, "Holds begun, by reason.", ("namespace", "reason")
)
REMEDIATIONS = Metric(
    "bilgepump_remediations_total",
    MetricKind.COUNTER,
    "Remediations carried out, by mechanism.",
    ("namespace", "mechanism"),
)
CAPTURES = Metric(
    "bilgepump_captures_total", MetricKind.COUNTER, "Profiles asked for, by outcome.", ("kind", "outcome")
)
RECOVERIES = Metric(
    "bilgepump_recoveries_total",
    MetricKind.COUNTER,
    "Remediations whose recovery is known, by outcome.",
    ("namespace", "outcome"),
)
INCIDENTS = Metric(
    "bilgepump_incidents", MetricKind.GAUGE, "Kept incidents by phase.", ("namespace", "phase")
)
METRICS_AVAILABLE = Metric(
    "bilgepump_metrics_source_available",
    MetricKind.GAUGE,
    "1 while a metrics source gives whole and fresh answers.",
    ("source",),
)

METRICS = (
    SWEEP_DURATION,
    LAST_SWEEP,
    SWEEP_FAILURES,
    LEADER,
    POLICIES,
    WORKLOADS,
    TIME_TO_THRESHOLD,
    HELD_WORKLOADS,
    HOLDS_TOTAL,
    REMEDIATIONS,
    CAPTURES,
    RECOVERIES,
    INCIDENTS,
    METRICS_AVAILABLE,
)
