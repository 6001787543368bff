"""What is decided about: one workload with its judgement, its history, and what goes on beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.decision.situation import Captured, Fleet, Limits, Powers, Situation
from controller.detection.judgement import Judgement
from controller.reporting.incident import Incident
from controller.reporting.past import last_duration, pending_requests, remediation_history
from controller.sweep.alerts import BlockingAlerts
from controller.sweep.judging import Covered

CAPTURE_RETRY = timedelta(minutes=5)
"""How long after a failed capture another is tried, where evidence is required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLimits:
    """What the controller's own settings allow."""

    powers: Powers = field(default_factory=Powers)
    limits: Limits = field(default_factory=Limits)
    blocking_alerts: BlockingAlerts = field(default_factory=BlockingAlerts)


def situation_of(
    item: Covered,
    judgement: Judgement,
    incidents: Sequence[Incident],
    fleet: Fleet,
    limits: SweepLimits,
    now: datetime,
    looks: int,
) -> Situation:
    """
    `incidents` are those of the workload; in so many sweeps in a row as `looks` says, this one included, a
    remediation of it was wanted.
    """
    history = remediation_history(item.workload, incidents, now)
    return Situation(
        policy=item.policy,
        workload=item.workload,
        judgement=judgement,
        now=now,
        history=history,
        powers=limits.powers,
        limits=limits.limits,
        fleet=fleet,
        looks=looks,
        conflicting_policies=item.rivals,
        requests=pending_requests(item.workload, incidents, history, now),
        remediation_duration=last_duration(incidents),
    )


def with_evidence(situation: Situation, incident: Incident) -> Situation:
    """
    The situation with what this episode has kept and ordered in vain, and with a person's approval.

    Where evidence is required and none is kept, a failed capture is forgotten after a while, so that it is
    tried again instead of holding for ever.
    """
    captured = incident.captured
    profiles = (file.captured_at for file in incident.status.evidence if file.kind.is_profile)
    tried = max(profiles, default=None)
    if situation.policy.evidence.required and not incident.kept_heap and tried is not None:
        captured = captured if situation.now - tried < CAPTURE_RETRY else Captured.NOTHING
    return replace(
        situation,
        captured=captured,
        leaked_at=incident.found_leaking_at(situation.judgement.worst.key),
        kept_heap=incident.kept_heap,
        incident=incident.name,
        approval=incident.approval,
        voided=incident.voided,
    )
