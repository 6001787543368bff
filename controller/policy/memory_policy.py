"""
A `MemoryPolicy` as the rest of the program sees it: validated, frozen, with units in the types.

Only `controller.policy.parsing` makes one from a document. Field names, defaults and meaning are those
of `crds/memorypolicy.yaml`, in snake case.
"""

from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Mode(StrEnum):
    """How far a policy lets the controller go."""

    OBSERVE = "Observe"
    CAPTURE = "Capture"
    REMEDIATE = "Remediate"


class Sensitivity(StrEnum):
    """Where on the curve between lead time and false alarms the detector stands."""

    CONSERVATIVE = "Conservative"
    BALANCED = "Balanced"
    EAGER = "Eager"


class Strategy(StrEnum):
    """Which mechanism a remediation uses."""

    AUTO = "Auto"
    ROLLING_RESTART = "RollingRestart"
    REPLACE = "Replace"
    EVICT = "Evict"


class SuspectAboveCritical(StrEnum):
    """What a `Suspect` above the critical line gets."""

    HOLD = "Hold"
    REMEDIATE = "Remediate"


class ApprovalRule(StrEnum):
    """Whether a person must approve each remediation."""

    NONE = "None"
    REQUIRED = "Required"


class WorkloadKind(StrEnum):
    """The Kubernetes kinds a policy can govern."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    ROLLOUT = "Rollout"
    """Of Argo Rollouts, where the controller's settings say so."""


class Operator(StrEnum):
    """The operators of a Kubernetes label selector expression."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelExpression:
    """One `matchExpressions` entry."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether `labels` satisfy this expression, by the rules of Kubernetes label selectors."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """Selects workloads by the labels of the workload object (not of its pods). Never empty."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[LabelExpression, ...] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether `labels` satisfy every part of the selector."""
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            expression.matches(labels) for expression in self.match_expressions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWorkload:
    """A workload named by kind and name, in the policy's namespace."""

    kind: WorkloadKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsTarget:
    """Services of one Amazon ECS cluster: exactly one of `services` and `tags` is set."""

    region: str
    cluster: str
    services: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    """Pairs of key and value that a service must all have."""
    assume_role_arn: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Which workloads: exactly one of `selector`, `workloads` and `ecs` is set.

    For a ClusterMemoryPolicy `selector` or nothing: then it is every workload of the namespaces it reaches.
    """

    selector: LabelSelector | None = None
    workloads: tuple[NamedWorkload, ...] = ()
    ecs: EcsTarget | None = None
    containers: tuple[str, ...] = ()
    """Container names to judge; empty means all but known sidecars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRate:
    """The counter that says how much the workload was asked to do."""

    metric: str
    match_labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRules:
    """Where memory is read: a source configured in the controller, by name."""

    source: str = "default"
    request_rate: RequestRate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The line that must not be crossed: a share of the memory limit, or bytes. Exactly one is set."""

    ratio: float | None = 0.70
    value_bytes: int | None = None

    def bytes_of(self, limit_bytes: int | None) -> int | None:
        """The line in bytes; None where it is a share of a limit that does not exist."""
        if self.value_bytes is not None:
            return self.value_bytes
        if limit_bytes is None or self.ratio is None:
            return None
        return int(limit_bytes * self.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRules:
    """How to judge."""

    threshold: Threshold = Threshold()
    critical_ratio: float = 0.85
    sensitivity: Sensitivity = Sensitivity.BALANCED
    lookback: timedelta = timedelta(hours=48)
    minimum_age: timedelta = timedelta(minutes=30)


class Scheme(StrEnum):
    """How a pprof endpoint is reached."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


@dataclass(frozen=True, slots=True, kw_only=True)
class PprofRule:
    """Where a container serves pprof."""

    container: str
    port: int
    path: str = "/debug/pprof"
    scheme: Scheme = Scheme.HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRules:
    """What to keep before a remediation."""

    pprof: tuple[PprofRule, ...] = ()
    required: bool = False


class Day(StrEnum):
    """Days of the week, as windows name them."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly span of wall-clock time; `end` at or before `start` means the next day."""

    days: tuple[Day, ...]
    start: time
    end: time
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most so many remediations of one workload in so long a time."""

    remediations: int = 3
    period: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationRules:
    """What may be done, and when."""

    strategy: Strategy = Strategy.AUTO
    lead_time: timedelta = timedelta(minutes=30)
    cooldown: timedelta = timedelta(hours=6)
    budget: Budget = Budget()
    maintenance_windows: tuple[Window, ...] = ()
    blackouts: tuple[Window, ...] = ()
    critical_overrides_windows: bool = False
    suspect_above_critical: SuspectAboveCritical = SuspectAboveCritical.HOLD
    allow_image_drift: bool = False
    approval: ApprovalRule = ApprovalRule.NONE
    blocking_alerts: tuple[str, ...] = ()
    """Names of alerts of the namespace that hold a remediation while they fire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Series of one metric of the workload's replicas: namespace and pod are filled in by the controller."""

    metric: str
    match_labels: tuple[tuple[str, str], ...] = ()
    match_patterns: tuple[tuple[str, str], ...] = ()
    """Labels whose whole value must match a regular expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRatioRule:
    """Failed requests of all requests, and how many more there may be after a remediation."""

    requests: Series
    errors: Series
    maximum_increase: float = 0.01
    """By how much the ratio (0..1) may be higher than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRule:
    """How long requests take, and how much longer they may take after a remediation."""

    histogram: Series
    """In seconds; its name is without `_bucket`."""
    quantile: float = 0.95
    maximum_ratio: float = 1.50
    """Of what it was before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRules:
    """When a remediation counts as having helped."""

    progress_deadline: timedelta = timedelta(minutes=15)
    soak: timedelta = timedelta(minutes=10)
    maximum_memory_ratio: float = 1.20
    error_ratio: ErrorRatioRule | None = None
    latency: LatencyRule | None = None

    @property
    def compares_service(self) -> bool:
        """How requests are served is compared, too: before the remediation and after it."""
        return self.error_ratio is not None or self.latency is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPolicy:
    """One validated policy document."""

    namespace: str
    name: str
    uid: str
    generation: int
    target: Target
    mode: Mode = Mode.OBSERVE
    metrics: MetricsRules = field(default_factory=MetricsRules)
    detection: DetectionRules = field(default_factory=DetectionRules)
    evidence: EvidenceRules = field(default_factory=EvidenceRules)
    remediation: RemediationRules = field(default_factory=RemediationRules)
    verification: VerificationRules = field(default_factory=VerificationRules)
    suspend: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    """The document's own labels, by which notifications are routed."""
    namespace_selector: LabelSelector | None = None
    """Of a ClusterMemoryPolicy, which stands in the book once for each namespace that it selects."""

    @property
    def cluster_wide(self) -> bool:
        """It is a ClusterMemoryPolicy."""
        return self.namespace_selector is not None

    @property
    def own_namespace(self) -> str:
        """Where its document is; empty for a ClusterMemoryPolicy."""
        return "" if self.cluster_wide else self.namespace

    @property
    def key(self) -> str:
        """`namespace/name`, as people write it; a ClusterMemoryPolicy has a name only."""
        return self.name if self.cluster_wide else f"{self.namespace}/{self.name}"
