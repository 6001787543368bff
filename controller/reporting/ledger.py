"""What a remediation cost and what it brought, reckoned once, when its recovery is final."""

from datetime import datetime, timedelta

from controller.detection.assessment import GrowthClass
from controller.inventory.workload import Workload
from controller.remediation.order import Order
from controller.reporting.incident import AssessmentRecord, Incident, Ledger
from controller.verification.recovery import Recovery, RecoveryOutcome

OOM_HORIZON = timedelta(hours=24)
"""Beyond a day a deployment or other traffic ends most projections before they come true."""

_HOUR_SECONDS = 3600


def settle(incident: Incident, recovery: Recovery, workload: Workload | None, now: datetime) -> Ledger:
    """
    The ledger of `incident`, whose `recovery` became final at `now`; `workload` is None where it is gone.

    Only a confirmed recovery counts as having brought anything, and only in the replica that grew most: the
    others' memory is not in the incident. What is not known is None. Requests lost are not reckoned: no
    metrics source tells them.
    """
    order, assessment = incident.status.order, incident.status.assessment
    recovered = recovery.outcome is RecoveryOutcome.RECOVERED
    return Ledger(
        replicas_replaced=_replicas_replaced(order, workload) if order and workload else None,
        oom_kills_avoided=_oom_kills_avoided(order, assessment) if recovered else 0,
        memory_saved_byte_hours=_memory_saved(incident, order, assessment, now) if recovered else 0,
    )


def _replicas_replaced(order: Order, workload: Workload) -> int:
    """Of those named by `order` those that are gone; else as many as are desired, less the old ones left."""
    if order.stepwise:
        return len(order.replicas) - sum(order.names(replica) for replica in workload.replicas)
    old = sum(order.supersedes(replica) for replica in workload.replicas)
    return max(0, workload.desired_replicas - old)


def _oom_kills_avoided(order: Order | None, assessment: AssessmentRecord | None) -> int | None:
    """
    1 where the growth, carried on, would have reached the limit within `OOM_HORIZON` of the order; else 0.

    None without a projection or a limit. Page cache is given back at the limit: nothing is killed for it.
    """
    if order is None or assessment is None:
        return None
    used, limit, growth = assessment.used_bytes, assessment.limit_bytes, assessment.growth_bytes_per_hour
    if used is None or limit is None or growth is None:
        return None
    if growth <= 0 or assessment.growth_class is GrowthClass.PAGE_CACHE:
        return 0
    horizon_hours = _hours(order.issued_at + OOM_HORIZON - assessment.at)
    return int(limit - used <= growth * horizon_hours)


def _memory_saved(
    incident: Incident, order: Order | None, assessment: AssessmentRecord | None, now: datetime
) -> int | None:
    """
    What had leaked by the time of the order, times the hours that its absence was watched.

    Leaked is the low end of the growth since its onset, or since the start where that is later, and never
    more than lies above the young floor. None where either is not known.
    """
    watched_from = incident.status.rolled_out_at
    if order is None or assessment is None or watched_from is None:
        return None
    growth = assessment.growth_low_bytes_per_hour
    known = [at for at in (assessment.onset, assessment.started_at) if at is not None]
    if growth is None or not known:
        return None
    leaked = max(0.0, growth * _hours(order.issued_at - max(known)))
    if assessment.used_bytes is not None and assessment.young_floor_bytes is not None:
        leaked = min(leaked, max(0, assessment.used_bytes - assessment.young_floor_bytes))
    return int(leaked * _hours(now - watched_from))


def _hours(span: timedelta) -> float:
    """`span` in hours, at least 0."""
    return max(0.0, span.total_seconds() / _HOUR_SECONDS)
