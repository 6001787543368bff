"""What a decision can be, and the fixed list of reasons."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What is to happen to a workload now."""

    NONE = "None"
    CAPTURE = "Capture"
    REMEDIATE = "Remediate"
    HOLD = "Hold"


class HoldReason(StrEnum):
    """Why nothing is done although something would be. The order is that of the gates."""

    NOT_YET_NEEDED = "NotYetNeeded"
    CONTROLLER_SUSPENDED = "ControllerSuspended"
    POLICY_SUSPENDED = "PolicySuspended"
    PROTECTED = "Protected"
    WORKLOAD_PAUSED = "WorkloadPaused"
    POLICY_CONFLICT = "PolicyConflict"
    METRICS_STALE = "MetricsStale"
    METRICS_IMPLAUSIBLE = "MetricsImplausible"
    UNCONFIRMED = "Unconfirmed"
    LEAK_STORM = "LeakStorm"
    RESTART_CANNOT_FREE = "RestartCannotFree"
    BASELINE_ABOVE_THRESHOLD = "BaselineAboveThreshold"
    RESTART_INEFFECTIVE = "RestartIneffective"
    AWAITING_ACKNOWLEDGEMENT = "AwaitingAcknowledgement"
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    ROLLOUT_FAILED = "RolloutFailed"
    RESTART_UNSUPPORTED = "RestartUnsupported"
    PLATFORM_THROTTLED = "PlatformThrottled"
    CAPACITY_MISSING = "CapacityMissing"
    INPUTS_UNREADABLE = "InputsUnreadable"
    QUOTA_EXHAUSTED = "QuotaExhausted"
    NODE_PRESSURE = "NodePressure"
    SURGE_IMPOSSIBLE = "SurgeImpossible"
    AUTOSCALER_AT_MAXIMUM = "AutoscalerAtMaximum"
    TASK_PROTECTED = "TaskProtected"
    REPLICAS_NOT_READY = "ReplicasNotReady"
    NO_SPARE_REPLICA = "NoSpareReplica"
    DISRUPTION_BUDGETS_OVERLAP = "DisruptionBudgetsOverlap"
    DISRUPTION_BUDGET_SHARED = "DisruptionBudgetShared"
    DISRUPTION_BUDGET_EXHAUSTED = "DisruptionBudgetExhausted"
    TOO_YOUNG = "TooYoung"
    RECENT_DEPLOY = "RecentDeploy"
    COOLING_DOWN = "CoolingDown"
    RETRY_LATER = "RetryLater"
    BUDGET_SPENT = "BudgetSpent"
    ALERTS_UNKNOWN = "AlertsUnknown"
    ALERT_FIRING = "AlertFiring"
    BLACKOUT = "Blackout"
    OUTSIDE_MAINTENANCE_WINDOW = "OutsideMaintenanceWindow"
    IMAGE_MAY_DRIFT = "ImageMayDrift"
    TOO_MANY_AT_ONCE = "TooManyAtOnce"
    NAMESPACE_BUSY = "NamespaceBusy"
    NODE_BUSY = "NodeBusy"
    TOO_MANY_PER_HOUR = "TooManyPerHour"
    EVIDENCE_MISSING = "EvidenceMissing"
    APPROVAL_REQUIRED = "ApprovalRequired"
    APPROVAL_VOID = "ApprovalVoid"
    POWER_WITHHELD = "PowerWithheld"
    ROLE_NOT_ALLOWED = "RoleNotAllowed"
    CAPTURE_ONLY = "CaptureOnly"
    OBSERVE_ONLY = "ObserveOnly"
    OUTCOME_UNKNOWN = "OutcomeUnknown"


class Reason(StrEnum):
    """Why the other actions are what they are."""

    NOTHING_TO_DO = "NothingToDo"
    MEMORY_HIGH = "MemoryHigh"
    MEMORY_HIGH_UNJUDGED = "MemoryHighUnjudged"
    MEMORY_HIGH_CAUSE_UNCLEAR = "MemoryHighCauseUnclear"
    KEEP_EVIDENCE = "KeepEvidence"
    SUSPECTED = "Suspected"
    THRESHOLD_NEAR = "ThresholdNear"
    THRESHOLD_CROSSED = "ThresholdCrossed"
    ABOVE_CRITICAL = "AboveCritical"
    REQUESTED = "Requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One gate's refusal."""

    reason: HoldReason
    message: str
    retry_at: datetime | None = None
    """When it may change, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen to one workload now, and why."""

    action: Action
    reason: Reason | HoldReason
    message: str
    retry_at: datetime | None = None
    holds: tuple[Hold, ...] = ()
    """The refusal of every gate that refused, in order; the first names the decision's reason."""
