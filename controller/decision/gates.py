"""
The safety rules between wanting a remediation and doing it.

Each gate is a pure function of the situation and answers with a `Hold` or with None. All are asked; the
first that holds names the reason. The order is part of the contract: switches that people set come first,
then what the restart could not achieve, then the state of the workload, then limits in time and number.
`hold_beyond_mode` comes last, so that an observing policy still tells what else would have held.

The rules and who proved each is needed: docs/gates.md.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from controller.decision.mechanism import Mechanism, choose_mechanism
from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.windows import next_opening, open_until
from controller.detection.assessment import RESTART_FREES
from controller.inventory.workload import RolloutState
from controller.policy.memory_policy import Mode

Gate = Callable[[Situation], Hold | None]

OLDEST_USABLE_JUDGEMENT = timedelta(minutes=5)
"""Prometheus calls a series stale after five minutes without a sample (its lookback delta)."""

BASELINE_NEAR_THRESHOLD_RATIO = 0.9
"""A fresh start at nine tenths of the threshold buys next to nothing."""


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


def hold_on_stale_metrics(situation: Situation) -> Hold | None:
    """Hold when the judgement is older than metrics may be."""
    age = situation.now - situation.judgement.at
    if age <= OLDEST_USABLE_JUDGEMENT:
        return None
    return Hold(reason=HoldReason.METRICS_STALE, message=f"the newest judgement is {_span(age)} old")


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
            f"soon after its start it already holds {_mebibytes(worst.young_floor_bytes)}, "
            f"the threshold is {_mebibytes(worst.threshold_bytes)}: raise the limit or the threshold"
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
    workload = situation.workload
    replaces = choose_mechanism(situation) is Mechanism.REPLACE
    refusal = workload.replace_refusal if replaces else workload.restart_refusal
    return Hold(reason=HoldReason.RESTART_UNSUPPORTED, message=refusal) if refusal else None


def hold_while_throttled(situation: Situation) -> Hold | None:
    """Hold while the platform refuses calls: half a remediation is worse than none."""
    if not situation.workload.throttled:
        return None
    return Hold(reason=HoldReason.PLATFORM_THROTTLED, message="the account's API calls are being throttled")


def hold_without_capacity(situation: Situation) -> Hold | None:
    """Hold where the platform lately found no room for a new replica."""
    if not situation.workload.capacity_refusal:
        return None
    return Hold(reason=HoldReason.CAPACITY_MISSING, message=situation.workload.capacity_refusal)


def hold_while_protected_from_stopping(situation: Situation) -> Hold | None:
    """
    Hold while a task that would be stopped is protected.

    StopTask would stop it all the same, and a deployment would stand still until the protection expires.
    """
    replaces = choose_mechanism(situation) is Mechanism.REPLACE
    leaking = situation.judgement.leaking_replicas
    protected = [
        (until, replica.name)
        for replica in situation.workload.replicas
        if (until := replica.protected_until) is not None
        and until > situation.now
        and (not replaces or replica.name in leaking)
    ]
    if not protected:
        return None
    until, name = max(protected)
    return Hold(
        reason=HoldReason.TASK_PROTECTED,
        message=f"task {name} is protected until {_clock(until)}",
        retry_at=until,
    )


def hold_while_not_ready(situation: Situation) -> Hold | None:
    """Hold while replicas are missing: a restart would take away more."""
    workload = situation.workload
    if workload.all_ready:
        return None
    return Hold(
        reason=HoldReason.REPLICAS_NOT_READY,
        message=f"{workload.ready_replicas} of {workload.desired_replicas} replicas are ready",
    )


def hold_without_spare_replica(situation: Situation) -> Hold | None:
    """Hold where a restart takes the only replica down before another is up."""
    workload = situation.workload
    if workload.replaces_before_stopping or workload.desired_replicas > 1:
        return None
    return Hold(
        reason=HoldReason.NO_SPARE_REPLICA,
        message="its only replica would be stopped before a new one is up; run two, or allow a surge",
    )


def hold_on_disruption_budget(situation: Situation) -> Hold | None:
    """Hold when a PodDisruptionBudget allows nothing: rollouts do not ask it, so we do."""
    for budget in situation.workload.disruption_budgets:
        if budget.disruptions_allowed < 1 or not budget.current:
            state = "allows no disruption now" if budget.current else "has not been brought up to date yet"
            return Hold(
                reason=HoldReason.DISRUPTION_BUDGET_EXHAUSTED,
                message=f"PodDisruptionBudget {budget.name} {state}",
            )
    return None


def hold_while_too_young(situation: Situation) -> Hold | None:
    """Hold while the container has not run for the policy's minimum age."""
    started_at = situation.judgement.worst.started_at
    minimum_age = situation.policy.detection.minimum_age
    if started_at is None or situation.now >= started_at + minimum_age:
        return None
    return Hold(
        reason=HoldReason.TOO_YOUNG,
        message=f"it has run for {_span(situation.now - started_at)}, less than {_span(minimum_age)}",
        retry_at=started_at + minimum_age,
    )


def hold_while_cooling_down(situation: Situation) -> Hold | None:
    """
    Hold while the last remediation is younger than the policy's cooldown.

    A leak grows back slowly: a second restart inside the cooldown would hide the growth that the next
    judgement needs to see.
    """
    cooldown = situation.policy.remediation.cooldown
    ends_at = situation.history.cooled_down_at(cooldown)
    if ends_at is None or situation.now >= ends_at:
        return None
    return Hold(
        reason=HoldReason.COOLING_DOWN,
        message=f"remediated less than {_span(cooldown)} ago",
        retry_at=ends_at,
    )


def hold_when_budget_is_spent(situation: Situation) -> Hold | None:
    """Hold when the workload has had all the remediations its budget allows: now a person is needed."""
    budget = situation.policy.remediation.budget
    returns_at = situation.history.budget_returns_at(budget.remediations, budget.period, situation.now)
    if returns_at is None:
        return None
    return Hold(
        reason=HoldReason.BUDGET_SPENT,
        message=f"remediated {budget.remediations} times within {_span(budget.period)}: the leak needs a fix",
        retry_at=returns_at,
    )


def hold_during_blackout(situation: Situation) -> Hold | None:
    """Hold during a blackout, also above critical: nothing overrides it."""
    until = open_until(situation.policy.remediation.blackouts, situation.now)
    if until is None:
        return None
    return Hold(reason=HoldReason.BLACKOUT, message=f"a blackout lasts until {_clock(until)}", retry_at=until)


def hold_outside_maintenance_window(situation: Situation) -> Hold | None:
    """Hold outside the maintenance windows, and where too little of one is left to finish in."""
    windows = situation.policy.remediation.maintenance_windows
    overridden = situation.policy.remediation.critical_overrides_windows and above_critical(situation)
    if not windows or overridden:
        return None
    until = open_until(windows, situation.now)
    verification = situation.policy.verification
    needed = situation.remediation_duration or verification.progress_deadline
    if until is not None and until - situation.now >= needed:
        return None
    opens_at = next_opening(windows, situation.now)
    return Hold(
        reason=HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        message="outside the maintenance windows" if until is None else f"only until {_clock(until)} is left",
        retry_at=opens_at,
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


def hold_while_too_many_at_once(situation: Situation) -> Hold | None:
    """Hold while as many remediations are under way as the controller allows."""
    fleet = situation.fleet
    if len(fleet.remediations_in_progress) < fleet.concurrent_remediations:
        return None
    return Hold(
        reason=HoldReason.TOO_MANY_AT_ONCE,
        message=f"under way already: {', '.join(fleet.remediations_in_progress)}",
    )


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


GATES: Sequence[Gate] = (
    hold_when_controller_suspended,
    hold_when_policy_suspended,
    hold_when_protected,
    hold_when_workload_paused,
    hold_when_policies_conflict,
    hold_on_stale_metrics,
    hold_when_restart_cannot_free,
    hold_when_baseline_above_threshold,
    hold_until_acknowledged,
    hold_while_rolling_out,
    hold_when_restart_unsupported,
    hold_while_throttled,
    hold_without_capacity,
    hold_while_protected_from_stopping,
    hold_while_not_ready,
    hold_without_spare_replica,
    hold_on_disruption_budget,
    hold_while_too_young,
    hold_while_cooling_down,
    hold_when_budget_is_spent,
    hold_during_blackout,
    hold_outside_maintenance_window,
    hold_when_image_may_drift,
    hold_while_too_many_at_once,
    hold_without_evidence,
    hold_without_power,
    hold_beyond_mode,
)


def above_critical(situation: Situation) -> bool:
    """Whether the worst container uses at least the critical share of its limit."""
    worst = situation.judgement.worst
    if worst.used_bytes is None or not worst.limit_bytes:
        return False
    return worst.used_bytes >= situation.policy.detection.critical_ratio * worst.limit_bytes


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{int(span.total_seconds())}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours and minutes else f"{hours}h" if hours else f"{minutes}m"


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def _mebibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
