"""How often, and how many at once."""

from collections.abc import Sequence
from datetime import timedelta

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation, UnderWay
from controller.decision.wording import span_text

HOUR = timedelta(hours=1)

ROUNDING = 1e-9
"""29 % of 100 workloads are 29 of them, and not the 28.999… of binary fractions."""


def hold_when_budget_is_spent(situation: Situation) -> Hold | None:
    """
    Hold when the workload has had all the remediations its budget allows: now a person is needed.

    Once held it stays so until a person acknowledges the incident: time alone mends no leak.
    """
    budget = situation.policy.remediation.budget
    spent = situation.history.remediations_since(situation.now - budget.period) >= budget.remediations
    if not spent and situation.history.escalated_because is not HoldReason.BUDGET_SPENT:
        return None
    return Hold(
        reason=HoldReason.BUDGET_SPENT,
        message=(
            f"remediated {budget.remediations} times within {span_text(budget.period)}: the leak needs a "
            "fix; acknowledge the incident to begin a new budget"
        ),
    )


def hold_during_leak_storm(situation: Situation) -> Hold | None:
    """Hold while many workloads are found to leak at once: bad metrics or a common cause, not their leaks."""
    limits = situation.limits
    for outbreak in situation.fleet.outbreaks:
        recent = sorted(at for at in outbreak.detected_at if at > situation.now - limits.storm_period)
        bearable = max(limits.storm_workloads - 1, int(limits.storm_ratio * outbreak.judged + ROUNDING))
        if len(recent) <= bearable:
            continue
        return Hold(
            reason=HoldReason.LEAK_STORM,
            message=(
                f"{len(recent)} of {outbreak.judged} workloads of {outbreak.among} were found to leak within "
                f"{span_text(limits.storm_period)}: look for bad metrics or a common cause"
            ),
            retry_at=recent[-bearable - 1] + limits.storm_period,
        )
    return None


def hold_while_too_many_at_once(situation: Situation) -> Hold | None:
    """Hold while as many remediations are under way as the controller allows."""
    under_way = situation.fleet.under_way
    return _busy(under_way, situation.limits.concurrent, HoldReason.TOO_MANY_AT_ONCE, "")


def hold_while_namespace_is_busy(situation: Situation) -> Hold | None:
    """Hold while as many remediations are under way in the namespace as the controller allows."""
    namespace = situation.workload.ref.namespace
    here = [one for one in situation.fleet.under_way if one.namespace == namespace]
    limit = situation.limits.concurrent_in_namespace
    return _busy(here, limit, HoldReason.NAMESPACE_BUSY, f" in namespace {namespace}")


def hold_while_node_is_busy(situation: Situation) -> Hold | None:
    """Hold while as many remediations are under way on one of its nodes as the controller allows."""
    for node in sorted(situation.workload.nodes):
        here = [one for one in situation.fleet.under_way if node in one.nodes]
        limit = situation.limits.concurrent_on_node
        if hold := _busy(here, limit, HoldReason.NODE_BUSY, f" on node {node}"):
            return hold
    return None


def _busy(under_way: Sequence[UnderWay], limit: int, reason: HoldReason, where: str) -> Hold | None:
    if len(under_way) < limit:
        return None
    names = ", ".join(one.workload for one in under_way)
    return Hold(reason=reason, message=f"under way already{where}: {names}")


def hold_when_hour_is_spent(situation: Situation) -> Hold | None:
    """Hold when the controller has begun as many remediations within the hour as it may, of any workloads."""
    recent = sorted(at for at in situation.fleet.remediated_at if at > situation.now - HOUR)
    limit = situation.limits.per_hour
    if len(recent) < limit:
        return None
    return Hold(
        reason=HoldReason.TOO_MANY_PER_HOUR,
        message=f"{len(recent)} remediations of all workloads within the hour; {limit} are allowed",
        retry_at=recent[-limit] + HOUR,
    )
