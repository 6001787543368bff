"""Whether a new replica would get in: quota, nodes, what only one replica can hold, and the autoscaler."""

from controller.decision.mechanism import Mechanism, choose_mechanism
from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation


def hold_when_inputs_are_unreadable(situation: Situation) -> Hold | None:
    """Hold where we may not read what these rules look at: what is not known is not assumed."""
    unread = situation.workload.unread
    if not unread:
        return None
    return Hold(
        reason=HoldReason.INPUTS_UNREADABLE,
        message=f"the controller may not list {', '.join(unread)}: see docs/permissions.md",
    )


def hold_when_quota_is_exhausted(situation: Situation) -> Hold | None:
    """Hold where a ResourceQuota or a LimitRange would refuse a new replica: the rollout would get stuck."""
    refusal = situation.workload.quota_refusal
    if not refusal or not (_starts_beside(situation) or "LimitRange" in refusal):
        return None
    return Hold(reason=HoldReason.QUOTA_EXHAUSTED, message=refusal)


def hold_under_node_pressure(situation: Situation) -> Hold | None:
    """Hold while a node where a replica runs is under pressure, or no node takes new replicas."""
    refusal = situation.workload.node_refusal
    return Hold(reason=HoldReason.NODE_PRESSURE, message=refusal) if refusal else None


def hold_when_surge_is_impossible(situation: Situation) -> Hold | None:
    """Hold where a new replica cannot start beside an old one: a volume or a port that only one can have."""
    refusal = situation.workload.surge_refusal
    if not refusal or not _starts_beside(situation):
        return None
    return Hold(reason=HoldReason.SURGE_IMPOSSIBLE, message=refusal)


def hold_at_autoscaler_maximum(situation: Situation) -> Hold | None:
    """
    Hold where the autoscaler wants more replicas than it may have, and the restart would take some away.

    Not where it counts memory: then the leak itself wants them, and the restart is the cure.
    """
    workload = situation.workload
    scaler = workload.autoscaler
    if scaler is None or not scaler.wants_more or scaler.on_memory or not workload.unavailable_at_most:
        return None
    return Hold(
        reason=HoldReason.AUTOSCALER_AT_MAXIMUM,
        message=(
            f"HorizontalPodAutoscaler {scaler.name} wants more than its maximum of {scaler.maximum} "
            f"replicas, and a rolling restart may take away {workload.unavailable_at_most}"
        ),
    )


def _starts_beside(situation: Situation) -> bool:
    """Whether the chosen mechanism starts a new replica before it stops an old one."""
    return situation.workload.replaces_before_stopping or choose_mechanism(situation) is Mechanism.REPLACE
