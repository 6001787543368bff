"""How often, and how many at once."""

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.wording import span_text


def hold_when_budget_is_spent(situation: Situation) -> Hold | None:
    """Hold when the workload has had all the remediations its budget allows: now a person is needed."""
    budget = situation.policy.remediation.budget
    returns_at = situation.history.budget_returns_at(budget.remediations, budget.period, situation.now)
    if returns_at is None:
        return None
    return Hold(
        reason=HoldReason.BUDGET_SPENT,
        message=(
            f"remediated {budget.remediations} times within {span_text(budget.period)}: the leak needs a fix"
        ),
        retry_at=returns_at,
    )


def hold_while_too_many_at_once(situation: Situation) -> Hold | None:
    """Hold while as many remediations are under way as the controller allows."""
    fleet = situation.fleet
    if len(fleet.remediations_in_progress) < fleet.concurrent_remediations:
        return None
    return Hold(
        reason=HoldReason.TOO_MANY_AT_ONCE,
        message=f"under way already: {', '.join(fleet.remediations_in_progress)}",
    )
