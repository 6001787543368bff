"""What was allowed: by the policy, and to this controller."""

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.policy.memory_policy import ApprovalRule, Mode


def hold_without_evidence(situation: Situation) -> Hold | None:
    """Hold where the policy requires evidence and none could be kept."""
    if not situation.policy.evidence.required or situation.kept_heap:
        return None
    return Hold(
        reason=HoldReason.EVIDENCE_MISSING,
        message="`evidence.required` is true and no heap profile could be kept",
    )


def hold_without_approval(situation: Situation) -> Hold | None:
    """Hold where the policy asks for a person's approval, and there is none for this very situation."""
    if situation.policy.remediation.approval is ApprovalRule.NONE:
        return None
    given = situation.approval
    if given is None:
        return Hold(reason=HoldReason.APPROVAL_REQUIRED, message=f"approve it with: {_command(situation)}")
    void = given.void_because(situation.digest, situation.now)
    if not void:
        return None
    return Hold(
        reason=HoldReason.APPROVAL_VOID,
        message=f"the approval by {given.by} is void: {void}; approve anew with: {_command(situation)}",
    )


def _command(situation: Situation) -> str:
    """What a person would paste: the name is taken from the API server, which refuses any other."""
    return (
        f"kubectl -n {situation.workload.ref.namespace} annotate --overwrite memi {situation.incident} "
        f"bilgepump.dev/approved={situation.digest} "
        'bilgepump.dev/approved-by="$(kubectl auth whoami -o jsonpath={.status.userInfo.username})" '
        'bilgepump.dev/approved-until="$(date -u -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
    )


def hold_without_power(situation: Situation) -> Hold | None:
    """Hold where this controller was installed without the power to remediate."""
    if situation.powers.remediate:
        return None
    return Hold(
        reason=HoldReason.POWER_WITHHELD,
        message="this controller was installed without the power to restart (chart value remediate.enabled)",
    )


def hold_when_role_not_allowed(situation: Situation) -> Hold | None:
    """Hold where the policy's namespace may look as that IAM role but not act, or AWS has just said so."""
    refusal = situation.workload.access_refusal
    return Hold(reason=HoldReason.ROLE_NOT_ALLOWED, message=refusal) if refusal else None


def hold_beyond_mode(situation: Situation) -> Hold | None:
    """Hold where the policy's mode does not allow remediation."""
    match situation.policy.mode:
        case Mode.REMEDIATE:
            return None
        case Mode.CAPTURE:
            return Hold(reason=HoldReason.CAPTURE_ONLY, message="the policy's mode is Capture")
        case Mode.OBSERVE:
            return Hold(reason=HoldReason.OBSERVE_ONLY, message="the policy's mode is Observe")
