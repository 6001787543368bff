"""What was allowed: by the policy, and to this controller."""

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.policy.memory_policy import Mode


def hold_without_evidence(situation: Situation) -> Hold | None:
    """Hold where the policy requires evidence and none could be kept."""
    if not situation.policy.evidence.required or situation.kept_heap:
        return None
    return Hold(
        reason=HoldReason.EVIDENCE_MISSING,
        message="`evidence.required` is true and no heap profile could be kept",
    )


def hold_without_power(situation: Situation) -> Hold | None:
    """Hold where this controller was installed without the power to remediate."""
    if situation.powers.remediate:
        return None
    return Hold(
        reason=HoldReason.POWER_WITHHELD,
        message="this controller was installed without the power to restart (chart value remediate.enabled)",
    )


def hold_beyond_mode(situation: Situation) -> Hold | None:
    """Hold where the policy's mode does not allow remediation."""
    match situation.policy.mode:
        case Mode.REMEDIATE:
            return None
        case Mode.CAPTURE:
            return Hold(reason=HoldReason.CAPTURE_ONLY, message="the policy's mode is Capture")
        case Mode.OBSERVE:
            return Hold(reason=HoldReason.OBSERVE_ONLY, message="the policy's mode is Observe")
