"""
The catalogue of Event reasons: type, on which object, when, and what the reader should do.

`docs/events.md` is generated from it (`make generate`); a test fails when they differ.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.decision.outcome import HoldReason


class Tone(StrEnum):
    """The Event's type. A `Warning` is something a person should look at."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Regarding(StrEnum):
    """On which object the Event stands."""

    WORKLOAD = "workload"
    WORKLOAD_AND_POD = "workload and pod"
    POD = "pod"
    POLICY = "policy"


class EventReason(StrEnum):
    """Reasons of Events that are not holds. A hold's Event reason is `Held` and its hold reason."""

    MEMORY_LEAK_DETECTED = "MemoryLeakDetected"
    MEMORY_GROWTH_ENDED = "MemoryGrowthEnded"
    MEMORY_HIGH = "MemoryHigh"
    MEMORY_HIGH_UNJUDGED = "MemoryHighUnjudged"
    MEMORY_HIGH_CAUSE_UNCLEAR = "MemoryHighCauseUnclear"
    HEAP_PROFILE_KEPT = "HeapProfileKept"
    HEAP_PROFILE_FAILED = "HeapProfileFailed"
    RUNTIME_METRICS_KEPT = "RuntimeMetricsKept"
    LEAK_RESTART_STARTED = "LeakRestartStarted"
    LEAK_RESTART_REFUSED = "LeakRestartRefused"
    LEAK_RECOVERY_CONFIRMED = "LeakRecoveryConfirmed"
    LEAK_RECOVERY_FAILED = "LeakRecoveryFailed"
    REQUEST_RECEIVED = "RequestReceived"
    INCIDENT_ACKNOWLEDGED = "IncidentAcknowledged"
    LEFTOVER_REPLICA_ENDED = "LeftoverReplicaEnded"
    POLICY_INVALID = "PolicyInvalid"
    POLICY_ACCEPTED = "PolicyAccepted"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    METRICS_RESTORED = "MetricsRestored"
    PLATFORM_UNAVAILABLE = "PlatformUnavailable"
    PLATFORM_RESTORED = "PlatformRestored"


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """What is fixed about an Event reason."""

    tone: Tone
    regarding: Regarding
    when: str
    what_to_do: str


EVENTS: dict[EventReason, CatalogueRow] = {
    EventReason.MEMORY_LEAK_DETECTED: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD_AND_POD,
        "A governed container is judged `Leaking`. Once per episode.",
        "Look at the incident (`kubectl get memi`): what grows, and when the threshold is reached.",
    ),
    EventReason.MEMORY_GROWTH_ENDED: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "An open incident is closed because nothing grows any more and nothing had to be done.",
        "Nothing. If a deploy fixed the leak, this is the proof.",
    ),
    EventReason.MEMORY_HIGH: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "Memory is above the threshold but does not grow. Once, until it is below again.",
        "A restart would not help for long: raise the limit, or lower what it keeps.",
    ),
    EventReason.MEMORY_HIGH_UNJUDGED: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "Memory is above the threshold and there is not enough data to judge why.",
        "Wait for the time the message names, or look yourself: `bilgepump explain`.",
    ),
    EventReason.MEMORY_HIGH_CAUSE_UNCLEAR: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "Memory is near or above the threshold and grows, but a leak is not proven.",
        "Look at the kept profile. `suspectAboveCritical: Remediate` would restart in this case.",
    ),
    EventReason.HEAP_PROFILE_KEPT: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "Profiles of a leaking or suspect replica were written to the evidence store.",
        "Open it with the command in the incident, `go tool pprof -diff_base …`.",
    ),
    EventReason.HEAP_PROFILE_FAILED: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "No heap profile could be taken or kept.",
        "Check port and path in `spec.evidence.pprof`, and network policies towards the pods.",
    ),
    EventReason.RUNTIME_METRICS_KEPT: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "There is no heap profile (a JVM, Node or Python has none), but the program's own metrics were kept.",
        "Run what the incident's `status.diagnosis.meanwhile` says: it names the tools of that runtime.",
    ),
    EventReason.LEAK_RESTART_STARTED: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "A rolling restart was begun because of a leak.",
        "Nothing: the recovery is watched. Fix the leak meanwhile; the incident holds the evidence.",
    ),
    EventReason.LEAK_RESTART_REFUSED: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "The restart was not done because the workload had changed or the API server refused it.",
        "If it is refused for lack of rights, see docs/permissions.md; otherwise it is decided anew.",
    ),
    EventReason.LEAK_RECOVERY_CONFIRMED: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "After the restart all replicas were ready through the soak and memory at equal age came down.",
        "Fix the leak: the next restart is a matter of time.",
    ),
    EventReason.LEAK_RECOVERY_FAILED: CatalogueRow(
        Tone.WARNING,
        Regarding.WORKLOAD,
        "The rollout got stuck, replicas are not ready, memory did not come down, or requests fare worse.",
        "Run the command in the message. The workload is held until the incident is acknowledged.",
    ),
    EventReason.REQUEST_RECEIVED: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "Somebody asked for a restart or for profiles by hand (`bilgepump restart`, `capture`).",
        "Nothing: the gates decide, and the incident tells what came of it within the hour.",
    ),
    EventReason.INCIDENT_ACKNOWLEDGED: CatalogueRow(
        Tone.NORMAL,
        Regarding.WORKLOAD,
        "Somebody has looked at an incident that waited for a person (`bilgepump acknowledge`).",
        "Nothing: the workload is no longer held for it.",
    ),
    EventReason.LEFTOVER_REPLICA_ENDED: CatalogueRow(
        Tone.WARNING,
        Regarding.POD,
        "A pod that had been released for its replacement was left behind: the replacement never became "
        "ready, or the incident was deleted.",
        "If it was given back, find out why no new pod becomes ready; the incident tells the rest.",
    ),
    EventReason.POLICY_INVALID: CatalogueRow(
        Tone.WARNING,
        Regarding.POLICY,
        "The policy's document cannot be used; nothing it asks for is done.",
        "Correct the field the message names.",
    ),
    EventReason.POLICY_ACCEPTED: CatalogueRow(
        Tone.NORMAL,
        Regarding.POLICY,
        "A policy that was invalid is accepted now.",
        "Nothing.",
    ),
    EventReason.METRICS_UNAVAILABLE: CatalogueRow(
        Tone.WARNING,
        Regarding.POLICY,
        "The policy's metrics source did not answer, answered in part, or answered nothing.",
        "Check the source; until it is back nothing is judged and nothing is restarted.",
    ),
    EventReason.METRICS_RESTORED: CatalogueRow(
        Tone.NORMAL, Regarding.POLICY, "The metrics source answers again.", "Nothing."
    ),
    EventReason.PLATFORM_UNAVAILABLE: CatalogueRow(
        Tone.WARNING,
        Regarding.POLICY,
        "The policy's ECS services could not be read: no answer, no such cluster, a role that AWS refused.",
        "Look at the message. Other policies go on; of this one nothing is judged or restarted meanwhile.",
    ),
    EventReason.PLATFORM_RESTORED: CatalogueRow(
        Tone.NORMAL, Regarding.POLICY, "The policy's services can be read again.", "Nothing."
    ),
}

_A_PERSON_IS_NEEDED = frozenset(
    {
        HoldReason.POLICY_CONFLICT,
        HoldReason.RESTART_CANNOT_FREE,
        HoldReason.BASELINE_ABOVE_THRESHOLD,
        HoldReason.AWAITING_ACKNOWLEDGEMENT,
        HoldReason.ROLLOUT_FAILED,
        HoldReason.RESTART_UNSUPPORTED,
        HoldReason.NO_SPARE_REPLICA,
        HoldReason.BUDGET_SPENT,
        HoldReason.RESTART_INEFFECTIVE,
        HoldReason.METRICS_IMPLAUSIBLE,
        HoldReason.LEAK_STORM,
        HoldReason.DISRUPTION_BUDGETS_OVERLAP,
        HoldReason.IMAGE_MAY_DRIFT,
        HoldReason.EVIDENCE_MISSING,
        HoldReason.POWER_WITHHELD,
        HoldReason.APPROVAL_REQUIRED,
        HoldReason.APPROVAL_VOID,
        HoldReason.ROLE_NOT_ALLOWED,
        HoldReason.CAPACITY_MISSING,
        HoldReason.INPUTS_UNREADABLE,
        HoldReason.QUOTA_EXHAUSTED,
        HoldReason.SURGE_IMPOSSIBLE,
    }
)

HOLDS: dict[HoldReason, tuple[str, str]] = {
    HoldReason.NOT_YET_NEEDED: (
        "It leaks, but the threshold is further away than the lead.",
        "Nothing yet: the message says when it will be needed.",
    ),
    HoldReason.CONTROLLER_SUSPENDED: (
        "The whole controller is suspended.",
        "Set `suspend: false` in its settings (chart value `suspend`).",
    ),
    HoldReason.POLICY_SUSPENDED: ("The policy is suspended.", "Set `spec.suspend: false`."),
    HoldReason.PROTECTED: (
        "It belongs to the cluster, to the controller or to its metrics source, which are never acted on.",
        "Restart it by hand where that is needed.",
    ),
    HoldReason.WORKLOAD_PAUSED: (
        "Somebody paused the workload or its namespace.",
        "Ask the person in the annotation `bilgepump.dev/paused`, then remove it.",
    ),
    HoldReason.POLICY_CONFLICT: (
        "Several policies claim the workload with equal right.",
        "Name the workload in exactly one of them, or narrow the selectors.",
    ),
    HoldReason.METRICS_STALE: ("The newest judgement is too old.", "Check the metrics source."),
    HoldReason.METRICS_IMPLAUSIBLE: (
        "The metrics contradict the pod, or themselves: another memory limit, or more in use than the limit.",
        "Check which series the metrics source has for that container, and for duplicates of it.",
    ),
    HoldReason.UNCONFIRMED: (
        "Too few sweeps in a row judged it `Leaking` (`limits.looksBeforeActing`), or its policy changed.",
        "Nothing: the next sweep looks again.",
    ),
    HoldReason.LEAK_STORM: (
        "So many workloads were found to leak within `limits.storm.period` that leaks are not the cause.",
        "Look for bad metrics, or for what they have in common: a base image, a sidecar, a dependency.",
    ),
    HoldReason.RESTART_CANNOT_FREE: (
        "What grows (page cache, shared memory, kernel) outlives the process.",
        "Look at files on tmpfs and in memory-backed volumes, and at what the kernel holds for it.",
    ),
    HoldReason.BASELINE_ABOVE_THRESHOLD: (
        "Soon after a start it already uses nearly as much as the threshold.",
        "Raise the memory limit or `detection.threshold`.",
    ),
    HoldReason.RESTART_INEFFECTIVE: (
        "Twice in a row memory came back in less than half the time it had taken before.",
        "A restart does not cure this: look at the evidence. An acknowledgement lets it restart again.",
    ),
    HoldReason.AWAITING_ACKNOWLEDGEMENT: (
        "An earlier remediation failed.",
        "Look at that incident, then set the annotation the message names.",
    ),
    HoldReason.ROLLOUT_PAUSED: ("Its rollout is paused.", "`kubectl rollout resume` when that is right."),
    HoldReason.ROLLOUT_IN_PROGRESS: ("A rollout is under way.", "Wait: a new start may change the picture."),
    HoldReason.ROLLOUT_FAILED: (
        "Its rollout exceeded its progress deadline.",
        "`kubectl rollout status`, then fix or undo that rollout.",
    ),
    HoldReason.RESTART_UNSUPPORTED: (
        "Its update strategy would not carry a rolling restart out.",
        "Change the strategy, or restart by hand.",
    ),
    HoldReason.PLATFORM_THROTTLED: (
        "AWS refused calls lately because the account made too many.",
        "Wait; where it lasts, find out who else calls the API, or ask for a higher quota.",
    ),
    HoldReason.CAPACITY_MISSING: (
        "ECS lately found no room to place a task of the service.",
        "Look at the service's events; add container instances, or capacity to the provider.",
    ),
    HoldReason.INPUTS_UNREADABLE: (
        "The controller may not list objects that these rules look at.",
        "Grant the rights of docs/permissions.md; the chart's roles have them.",
    ),
    HoldReason.QUOTA_EXHAUSTED: (
        "A ResourceQuota has no room for one more replica, or a LimitRange would refuse it.",
        "Raise the quota, or allow `maxUnavailable` instead of a surge; see `kubectl describe quota`.",
    ),
    HoldReason.NODE_PRESSURE: (
        "A node where a replica runs is short of memory, disk or processes, or no node takes new replicas.",
        "`kubectl describe node`: the node comes first. It goes on when the node has recovered.",
    ),
    HoldReason.SURGE_IMPOSSIBLE: (
        "A new replica cannot start beside the old ones: a volume for one node only, or a port of the node.",
        "Restart by hand in a quiet hour, or use a volume with ReadWriteMany and no host port.",
    ),
    HoldReason.AUTOSCALER_AT_MAXIMUM: (
        "The autoscaler wants more replicas than it may have; a restart would take some away for a while.",
        "Raise `maxReplicas`, or set `maxUnavailable: 0`.",
    ),
    HoldReason.TASK_PROTECTED: (
        "A task that would be stopped has task protection.",
        "Wait until it expires; a task that works on a job ends the protection itself.",
    ),
    HoldReason.REPLICAS_NOT_READY: ("Not all replicas are ready.", "Find out why with `kubectl get pods`."),
    HoldReason.NO_SPARE_REPLICA: (
        "Its only replica would be stopped first.",
        "Run two replicas, or allow a surge (`maxSurge`).",
    ),
    HoldReason.DISRUPTION_BUDGETS_OVERLAP: (
        "Several PodDisruptionBudgets cover one pod. The API server refuses to evict such a pod, too.",
        "`kubectl get pdb`: leave one that covers it.",
    ),
    HoldReason.DISRUPTION_BUDGET_SHARED: (
        "A workload under the same PodDisruptionBudget is being remediated.",
        "Wait for its turn.",
    ),
    HoldReason.DISRUPTION_BUDGET_EXHAUSTED: (
        "A PodDisruptionBudget allows no disruption now. Rollouts do not ask it; we do.",
        "`kubectl get pdb`: it goes on as soon as the budget allows one.",
    ),
    HoldReason.TOO_YOUNG: ("It started less than `detection.minimumAge` ago.", "Wait."),
    HoldReason.RECENT_DEPLOY: (
        "Its newest template is younger than `detection.minimumAge`: the deploy may have mended the leak.",
        "Wait.",
    ),
    HoldReason.COOLING_DOWN: ("It was remediated less than `remediation.cooldown` ago.", "Wait."),
    HoldReason.RETRY_LATER: (
        "The last order was refused or not carried out; the next waits 1 minute, then 2, 4, at most 60.",
        "The message says why; where it is admission or a missing right, mend that and it goes on by itself.",
    ),
    HoldReason.BUDGET_SPENT: (
        "It was remediated as often as `remediation.budget` allows.",
        "Fix the leak: restarts no longer carry this. Acknowledging the incident begins a new budget.",
    ),
    HoldReason.ALERTS_UNKNOWN: (
        "Alerts are to hold remediations, and the metrics source cannot say which fire.",
        "Check the source that `blockingAlerts.source`, or the policy's `metrics.source`, names.",
    ),
    HoldReason.ALERT_FIRING: (
        "An alert fires that `blockingAlerts` of the settings or of the policy names.",
        "Deal with the alert first; it goes on when it no longer fires.",
    ),
    HoldReason.BLACKOUT: ("A blackout is on.", "Wait for its end."),
    HoldReason.OUTSIDE_MAINTENANCE_WINDOW: (
        "No maintenance window is open, or too little is left of it for rollout and soak.",
        "Wait for the next one; where that never suffices, make the window longer.",
    ),
    HoldReason.IMAGE_MAY_DRIFT: (
        "A restart could pull other code: a mutable tag that is pulled at every start.",
        "Pin a digest, or set `remediation.allowImageDrift: true`.",
    ),
    HoldReason.TOO_MANY_AT_ONCE: ("Other workloads are being restarted.", "Wait for its turn."),
    HoldReason.NAMESPACE_BUSY: (
        "As many workloads of its namespace are being restarted as may be.",
        "Wait for its turn, or raise `limits.concurrentRemediationsPerNamespace`.",
    ),
    HoldReason.NODE_BUSY: (
        "As many workloads with replicas on one of its nodes are being restarted as may be.",
        "Wait for its turn, or raise `limits.concurrentRemediationsPerNode`.",
    ),
    HoldReason.TOO_MANY_PER_HOUR: (
        "The controller has restarted as many workloads within the hour as it may.",
        "Wait; where that is the rule, fix leaks first, then raise `limits.remediationsPerHour`.",
    ),
    HoldReason.EVIDENCE_MISSING: (
        "`evidence.required` is true and no heap profile could be kept.",
        "See why in the incident's evidence; or set `evidence.required: false`.",
    ),
    HoldReason.APPROVAL_REQUIRED: (
        "The policy asks for a person's approval of each remediation.",
        "Look at the incident; the message holds the command that approves it. See docs/approval.md.",
    ),
    HoldReason.APPROVAL_VOID: (
        "There is an approval, and it has ended, or was given for another situation.",
        "Look again, and approve anew with the command in the message.",
    ),
    HoldReason.POWER_WITHHELD: (
        "This controller was installed without the power to restart.",
        "Install with `remediate.enabled=true`.",
    ),
    HoldReason.ROLE_NOT_ALLOWED: (
        "The IAM role may look and not act: the controller's `ecs.roles` say so, or AWS refused the act.",
        "Allow it in `ecs.roles`, or give the role the rights of docs/ecs.md and the service its tag.",
    ),
    HoldReason.CAPTURE_ONLY: ("The policy's mode is `Capture`.", "Set `mode: Remediate` to let it act."),
    HoldReason.OUTCOME_UNKNOWN: (
        "A restart was asked for and AWS's answer never came.",
        "Wait: the service's deployments tell within two minutes; nothing is repeated before.",
    ),
    HoldReason.OBSERVE_ONLY: ("The policy's mode is `Observe`.", "Set `mode: Remediate` to let it act."),
}


def hold_event_reason(reason: HoldReason) -> str:
    """The Event reason of a hold."""
    return f"Held{reason}"


def hold_tone(reason: HoldReason) -> Tone:
    """A hold that only a person can end is a Warning; one that ends by itself is not."""
    return Tone.WARNING if reason in _A_PERSON_IS_NEEDED else Tone.NORMAL
