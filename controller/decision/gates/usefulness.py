"""What the judgement must be for a restart to help."""

from datetime import timedelta

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.wording import mebibytes_text, span_text
from controller.detection.assessment import RESTART_FREES
from controller.inventory.workload import Platform

OLDEST_USABLE_JUDGEMENT = timedelta(minutes=5)
"""Prometheus calls a series stale after five minutes without a sample (its lookback delta)."""

BASELINE_NEAR_THRESHOLD_RATIO = 0.9
"""A fresh start at nine tenths of the threshold buys next to nothing."""

LIMITS_DIFFER_RATIO = 0.01
"""The kernel rounds a limit down to whole pages; more than this is another limit."""

ABOVE_LIMIT_RATIO = 1.05
"""The kernel lets nothing use more than its limit; so much may be two samples of different times."""

INEFFECTIVE_STRIKES = 2
"""One short run may be a busy day; two in a row, each less than half of the one before, are not."""


def hold_on_stale_metrics(situation: Situation) -> Hold | None:
    """Hold when the judgement is older than metrics may be."""
    age = situation.now - situation.judgement.at
    if age <= OLDEST_USABLE_JUDGEMENT:
        return None
    return Hold(reason=HoldReason.METRICS_STALE, message=f"the newest judgement is {span_text(age)} old")


def hold_on_implausible_metrics(situation: Situation) -> Hold | None:
    """Hold where the metrics contradict the pod or themselves: another limit, or more in use than that."""
    worst = situation.judgement.worst
    if not worst.limit_bytes:
        return None
    declared = _declared_limit(situation)
    if declared and abs(worst.limit_bytes - declared) > LIMITS_DIFFER_RATIO * declared:
        return Hold(
            reason=HoldReason.METRICS_IMPLAUSIBLE,
            message=(
                f"metrics say that container {worst.key.container} is limited to "
                f"{mebibytes_text(worst.limit_bytes)}, its pod says {mebibytes_text(declared)}"
            ),
        )
    if worst.used_bytes is None or worst.used_bytes <= ABOVE_LIMIT_RATIO * worst.limit_bytes:
        return None
    return Hold(
        reason=HoldReason.METRICS_IMPLAUSIBLE,
        message=(
            f"metrics say that container {worst.key.container} uses {mebibytes_text(worst.used_bytes)}, "
            f"more than its limit of {mebibytes_text(worst.limit_bytes)}"
        ),
    )


def _declared_limit(situation: Situation) -> int | None:
    """The limit that the pod declares for the worst container; ECS limits whole tasks, too."""
    if situation.workload.ref.platform is not Platform.KUBERNETES:
        return None
    key = situation.judgement.worst.key
    for replica in situation.workload.replicas:
        if replica.name == key.pod and (container := replica.container(key.container)):
            return container.memory_limit_bytes
    return None


def hold_while_unconfirmed(situation: Situation) -> Hold | None:
    """
    Hold until it was wanted in several sweeps in a row, as one look may be wrong, or a person asks.

    What changed while it was looked at is judged anew, whoever asks.
    """
    if situation.overtaken_because:
        return Hold(
            reason=HoldReason.UNCONFIRMED,
            message=f"{situation.overtaken_because} while it was looked at: the next sweep judges anew",
        )
    wanted = situation.limits.looks
    if situation.looks >= wanted or situation.restart_requested:
        return None
    return Hold(
        reason=HoldReason.UNCONFIRMED,
        message=f"wanted by {situation.looks} of the {wanted} sweeps in a row that must agree",
    )


def hold_when_restart_cannot_free(situation: Situation) -> Hold | None:
    """Hold where what grows does not belong to the process."""
    growth_class = situation.judgement.worst.growth_class
    if growth_class in RESTART_FREES:
        return None
    return Hold(
        reason=HoldReason.RESTART_CANNOT_FREE,
        message=f"what grows is {growth_class} memory, which a restart does not give back",
    )


def hold_when_baseline_above_threshold(situation: Situation) -> Hold | None:
    """Hold where memory is at the threshold soon after a start: a restart cannot help."""
    worst = situation.judgement.worst
    if worst.young_floor_bytes is None or worst.threshold_bytes is None:
        return None
    if worst.young_floor_bytes < BASELINE_NEAR_THRESHOLD_RATIO * worst.threshold_bytes:
        return None
    return Hold(
        reason=HoldReason.BASELINE_ABOVE_THRESHOLD,
        message=(
            f"soon after its start it already holds {mebibytes_text(worst.young_floor_bytes)}, "
            f"the threshold is {mebibytes_text(worst.threshold_bytes)}: raise the limit or the threshold"
        ),
    )


def hold_when_restarts_do_not_help(situation: Situation) -> Hold | None:
    """
    Hold where memory comes back ever faster after each restart: a restart does not cure this.

    Once held it stays so until a person acknowledges the incident.
    """
    strikes = situation.history.strikes(situation.time_to_threshold)
    latched = situation.history.escalated_because is HoldReason.RESTART_INEFFECTIVE
    if strikes < INEFFECTIVE_STRIKES and not latched:
        return None
    earlier = (*situation.history.times_to_threshold, situation.time_to_threshold)
    runs = ", ".join(span_text(run) for run in earlier[-INEFFECTIVE_STRIKES - 1 :] if run)
    return Hold(
        reason=HoldReason.RESTART_INEFFECTIVE,
        message=(
            f"a restart does not cure this: the threshold was reached after {runs}; "
            "acknowledge the incident to let it restart again"
        ),
    )


def hold_until_acknowledged(situation: Situation) -> Hold | None:
    """Hold after a remediation that failed, until a person has seen it."""
    incident = situation.history.unacknowledged
    if not incident or situation.workload.acknowledged == incident:
        return None
    return Hold(
        reason=HoldReason.AWAITING_ACKNOWLEDGEMENT,
        message=(
            f"incident {incident} ended badly; a person clears it with the annotation "
            f"bilgepump.dev/acknowledged: {incident}"
        ),
    )
