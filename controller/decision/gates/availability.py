"""Whether the service stays up, and whether there is room for what replaces it."""

from controller.decision.mechanism import Mechanism, choose, choose_mechanism
from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.wording import clock_text
from controller.inventory.workload import Platform


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
    chosen = choose(situation).replicas
    protected = [
        (until, replica.name)
        for replica in situation.workload.replicas
        if (until := replica.protected_until) is not None
        and until > situation.now
        and (not chosen or replica.name in chosen)
    ]
    if not protected:
        return None
    until, name = max(protected)
    return Hold(
        reason=HoldReason.TASK_PROTECTED,
        message=f"task {name} is protected until {clock_text(until)}",
        retry_at=until,
    )


def hold_without_spare_replica(situation: Situation) -> Hold | None:
    """Hold where a restart takes the only replica down before another is up."""
    workload = situation.workload
    if workload.desired_replicas > 1:
        return None
    match choose_mechanism(situation):
        case Mechanism.ROLLING_RESTART if workload.replaces_before_stopping:
            return None
        case Mechanism.REPLACE if workload.ref.platform is Platform.KUBERNETES:
            return None
    return Hold(
        reason=HoldReason.NO_SPARE_REPLICA,
        message="its only replica would be stopped before a new one is up; run two, or allow a surge",
    )


def hold_when_budgets_overlap(situation: Situation) -> Hold | None:
    """Hold where several PodDisruptionBudgets cover one pod: nobody can say then which one counts."""
    names = situation.workload.overlapping_budgets
    if not names:
        return None
    return Hold(
        reason=HoldReason.DISRUPTION_BUDGETS_OVERLAP,
        message=f"several PodDisruptionBudgets cover the same pod: {', '.join(names)}; leave one",
    )


def hold_while_budget_is_shared(situation: Situation) -> Hold | None:
    """Hold while a workload under the same PodDisruptionBudget is being remediated: one after the other."""
    workload = situation.workload
    mine = {budget.name for budget in workload.disruption_budgets}
    for other in situation.fleet.under_way:
        shared = mine & other.disruption_budgets
        if shared and other.namespace == workload.ref.namespace:
            return Hold(
                reason=HoldReason.DISRUPTION_BUDGET_SHARED,
                message=f"{other.workload}, under way, shares PodDisruptionBudget {min(shared)}",
            )
    return None


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
