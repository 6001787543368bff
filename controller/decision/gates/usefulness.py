"""What the judgement must be for a restart to help."""

from datetime import timedelta

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.wording import mebibytes_text, span_text
from controller.detection.assessment import RESTART_FREES

OLDEST_USABLE_JUDGEMENT = timedelta(minutes=5)
"""Prometheus calls a series stale after five minutes without a sample (its lookback delta)."""

BASELINE_NEAR_THRESHOLD_RATIO = 0.9
"""A fresh start at nine tenths of the threshold buys next to nothing."""


def hold_on_stale_metrics(situation: Situation) -> Hold | None:
    """Hold when the judgement is older than metrics may be."""
    age = situation.now - situation.judgement.at
    if age <= OLDEST_USABLE_JUDGEMENT:
        return None
    return Hold(reason=HoldReason.METRICS_STALE, message=f"the newest judgement is {span_text(age)} old")


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
