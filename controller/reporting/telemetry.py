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


OF_WORKLOAD = ("namespace", "kind", "name")
"""The labels that name a workload."""

SWEEP_DURATION = Metric(
    "bilgepump_sweep_duration_seconds",
    MetricKind.HISTOGRAM,
    "Wall time of one sweep.",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
)
SWEEP_INTERVAL = Metric(
    "bilgepump_sweep_interval_seconds", MetricKind.GAUGE, "How often memory is to be judged."
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
    OF_WORKLOAD,
)
WORKLOAD_USED = Metric(
    "bilgepump_workload_used_bytes",
    MetricKind.GAUGE,
    "Memory in use by the worst container of a leaking or suspect workload, as it was judged.",
    OF_WORKLOAD,
)
WORKLOAD_THRESHOLD = Metric(
    "bilgepump_workload_threshold_bytes",
    MetricKind.GAUGE,
    "The line the policy draws for that container.",
    OF_WORKLOAD,
)
WORKLOAD_YOUNG_FLOOR = Metric(
    "bilgepump_workload_young_floor_bytes",
    MetricKind.GAUGE,
    "That container's floor when it was young and warm: what a restart can bring memory back to.",
    OF_WORKLOAD,
)
WORKLOAD_GROWTH = Metric(
    "bilgepump_workload_growth_bytes_per_second",
    MetricKind.GAUGE,
    "How fast that container's floor rises.",
    OF_WORKLOAD,
)
UNACKNOWLEDGED = Metric(
    "bilgepump_workload_unacknowledged",
    MetricKind.GAUGE,
    "1 while a workload's newest remediation failed and nobody has acknowledged it.",
    OF_WORKLOAD,
)
OPEN_INCIDENT = Metric(
    "bilgepump_open_incident",
    MetricKind.GAUGE,
    "1 for each open incident, with its phase as it stood when the sweep began.",
    (*OF_WORKLOAD, "incident", "phase"),
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
EVIDENCE_BYTES = Metric(
    "bilgepump_evidence_bytes",
    MetricKind.GAUGE,
    "How much evidence is kept, as it was counted within the last ten minutes by the process that leads.",
)
EVIDENCE_LIMIT = Metric(
    "bilgepump_evidence_limit_bytes",
    MetricKind.GAUGE,
    "How much evidence may be kept; the oldest goes first.",
)
RECOVERIES = Metric(
    "bilgepump_recoveries_total",
    MetricKind.COUNTER,
    "Remediations whose recovery is known, by outcome.",
    ("namespace", "outcome"),
)
NOTIFICATIONS = Metric(
    "bilgepump_notifications_total",
    MetricKind.COUNTER,
    "Notifications by outcome: delivered, failed (refused), expired (retried until too old) or deferred (no "
    "room; computed anew by the next sweep).",
    ("receiver", "outcome"),
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

CLOUDWATCH_METRICS = Metric(
    "bilgepump_cloudwatch_metrics_requested_total",
    MetricKind.COUNTER,
    "Metrics that CloudWatch was asked for, which is what it bills.",
)
CLOUDWATCH_DOLLARS = Metric(
    "bilgepump_cloudwatch_dollars_per_month",
    MetricKind.GAUGE,
    "What these questions cost a month at list price, if memory stays as far from danger as it is now.",
)

METRICS = (
    SWEEP_DURATION,
    SWEEP_INTERVAL,
    LAST_SWEEP,
    SWEEP_FAILURES,
    LEADER,
    POLICIES,
    WORKLOADS,
    TIME_TO_THRESHOLD,
    WORKLOAD_USED,
    WORKLOAD_THRESHOLD,
    WORKLOAD_YOUNG_FLOOR,
    WORKLOAD_GROWTH,
    UNACKNOWLEDGED,
    OPEN_INCIDENT,
    HELD_WORKLOADS,
    HOLDS_TOTAL,
    REMEDIATIONS,
    CAPTURES,
    EVIDENCE_BYTES,
    EVIDENCE_LIMIT,
    RECOVERIES,
    NOTIFICATIONS,
    INCIDENTS,
    METRICS_AVAILABLE,
    CLOUDWATCH_METRICS,
    CLOUDWATCH_DOLLARS,
)
