"""Switches that people set, and what is never acted on at all."""

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation


def hold_when_controller_suspended(situation: Situation) -> Hold | None:
    """Hold while the whole controller is suspended."""
    if not situation.powers.suspended_because:
        return None
    return Hold(
        reason=HoldReason.CONTROLLER_SUSPENDED,
        message=f"the controller is suspended: {situation.powers.suspended_because}",
    )


def hold_when_policy_suspended(situation: Situation) -> Hold | None:
    """Hold while the policy is suspended."""
    if not situation.policy.suspend:
        return None
    return Hold(
        reason=HoldReason.POLICY_SUSPENDED, message=f"policy {situation.policy.key} has `suspend: true`"
    )


def hold_when_protected(situation: Situation) -> Hold | None:
    """Hold for what is never acted on: the cluster's own, the controller, and its metrics source."""
    if not situation.workload.protected_because:
        return None
    return Hold(reason=HoldReason.PROTECTED, message=situation.workload.protected_because)


def hold_when_workload_paused(situation: Situation) -> Hold | None:
    """Hold while somebody has paused the workload or its namespace."""
    if not situation.workload.paused_by:
        return None
    return Hold(
        reason=HoldReason.WORKLOAD_PAUSED,
        message=f"paused by annotation bilgepump.dev/paused: '{situation.workload.paused_by}'",
    )


def hold_when_policies_conflict(situation: Situation) -> Hold | None:
    """Hold where several policies claim the workload with equal right."""
    if not situation.conflicting_policies:
        return None
    claimants = ", ".join((situation.policy.key, *situation.conflicting_policies))
    return Hold(
        reason=HoldReason.POLICY_CONFLICT,
        message=f"several policies claim it: {claimants}; name it in exactly one of them",
    )
