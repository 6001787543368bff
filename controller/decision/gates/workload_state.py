"""What the workload itself is doing, and whether its strategy would carry a restart out."""

from controller.decision.mechanism import choose
from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.inventory.workload import RolloutState

_ROLLOUT_HOLDS = {
    RolloutState.PAUSED: HoldReason.ROLLOUT_PAUSED,
    RolloutState.PROGRESSING: HoldReason.ROLLOUT_IN_PROGRESS,
    RolloutState.FAILED: HoldReason.ROLLOUT_FAILED,
}


def hold_while_rolling_out(situation: Situation) -> Hold | None:
    """Hold while a rollout is paused, under way or stuck."""
    workload = situation.workload
    reason = _ROLLOUT_HOLDS.get(workload.rollout)
    if reason is None:
        return None
    return Hold(reason=reason, message=workload.rollout_message or f"its rollout is {workload.rollout}")


def hold_when_restart_unsupported(situation: Situation) -> Hold | None:
    """Hold where the workload's own strategy would not carry the restart out."""
    refusal = choose(situation).refusal
    return Hold(reason=HoldReason.RESTART_UNSUPPORTED, message=refusal) if refusal else None


def hold_while_not_ready(situation: Situation) -> Hold | None:
    """Hold while replicas are missing: a restart would take away more."""
    workload = situation.workload
    if workload.all_ready:
        return None
    return Hold(
        reason=HoldReason.REPLICAS_NOT_READY,
        message=f"{workload.ready_replicas} of {workload.desired_replicas} replicas are ready",
    )


def hold_when_image_may_drift(situation: Situation) -> Hold | None:
    """Hold where a restart could ship other code: an image that is pulled at every start by a mutable tag."""
    if situation.policy.remediation.allow_image_drift:
        return None
    for replica in situation.workload.replicas:
        for container in replica.containers:
            if container.always_pulls and "@sha256:" not in container.image:
                return Hold(
                    reason=HoldReason.IMAGE_MAY_DRIFT,
                    message=(
                        f"container {container.name} pulls '{container.image}' at every start and the tag "
                        "may have moved; pin a digest or set `remediation.allowImageDrift: true`"
                    ),
                )
    return None
