"""When a restart may begin: age, cooldown, pause after a refusal, blackouts and maintenance windows."""

from datetime import timedelta

from controller.decision.outcome import Hold, HoldReason
from controller.decision.situation import Situation
from controller.decision.windows import next_opening, open_until
from controller.decision.wording import clock_text, span_text

SHORTEST_PAUSE = timedelta(minutes=1)
"""After the first order that was not carried out, as that may be chance; each further one doubles it."""
LONGEST_PAUSE = timedelta(hours=1)


def hold_while_too_young(situation: Situation) -> Hold | None:
    """Hold while the container has not run for the policy's minimum age."""
    started_at = situation.judgement.worst.started_at
    minimum_age = situation.policy.detection.minimum_age
    if started_at is None or situation.now >= started_at + minimum_age:
        return None
    return Hold(
        reason=HoldReason.TOO_YOUNG,
        message=f"it has run for {span_text(situation.now - started_at)}, less than {span_text(minimum_age)}",
        retry_at=started_at + minimum_age,
    )


def hold_after_recent_deploy(situation: Situation) -> Hold | None:
    """Hold while the newest template is younger than the policy's minimum age, whatever the metrics say."""
    deployed_at = situation.workload.deployed_at
    minimum_age = situation.policy.detection.minimum_age
    if deployed_at is None or situation.now >= deployed_at + minimum_age:
        return None
    return Hold(
        reason=HoldReason.RECENT_DEPLOY,
        message=(
            f"deployed {span_text(situation.now - deployed_at)} ago, less than {span_text(minimum_age)}"
        ),
        retry_at=deployed_at + minimum_age,
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
        message=f"remediated less than {span_text(cooldown)} ago",
        retry_at=ends_at,
    )


def hold_after_voided_order(situation: Situation) -> Hold | None:
    """Hold for a while after an order that was refused or not carried out, longer each time."""
    voided = situation.voided
    if voided is None:
        return None
    doublings = min(voided.times - 1, 8)
    ends_at = voided.at + min(SHORTEST_PAUSE * 2**doublings, LONGEST_PAUSE)
    if situation.now >= ends_at:
        return None
    return Hold(
        reason=HoldReason.RETRY_LATER,
        message=f"the last order was not carried out: {voided.because}",
        retry_at=ends_at,
    )


def hold_while_alerts_fire(situation: Situation) -> Hold | None:
    """Hold while an alert fires that the settings or the policy name, and while nobody can say whether."""
    alerts = situation.fleet.alerts
    if alerts.unknown_because:
        return Hold(
            reason=HoldReason.ALERTS_UNKNOWN,
            message=f"whether a blocking alert fires is not known: {alerts.unknown_because}",
        )
    if not alerts.firing:
        return None
    return Hold(reason=HoldReason.ALERT_FIRING, message=f"firing: {', '.join(alerts.firing)}")


def hold_during_blackout(situation: Situation) -> Hold | None:
    """Hold during a blackout, also above critical: nothing overrides it."""
    until = open_until(situation.policy.remediation.blackouts, situation.now)
    if until is None:
        return None
    return Hold(
        reason=HoldReason.BLACKOUT, message=f"a blackout lasts until {clock_text(until)}", retry_at=until
    )


def hold_outside_maintenance_window(situation: Situation) -> Hold | None:
    """Hold outside the maintenance windows, and where too little of one is left to finish in."""
    windows = situation.policy.remediation.maintenance_windows
    overridden = situation.policy.remediation.critical_overrides_windows and situation.above_critical
    if not windows or overridden:
        return None
    until = open_until(windows, situation.now)
    verification = situation.policy.verification
    needed = (situation.remediation_duration or verification.progress_deadline) + verification.soak
    if until is not None and until - situation.now >= needed:
        return None
    opens_at = next_opening(windows, situation.now)
    return Hold(
        reason=HoldReason.OUTSIDE_MAINTENANCE_WINDOW,
        message=(
            "outside the maintenance windows"
            if until is None
            else f"the window closes at {clock_text(until)}; rollout and soak need {span_text(needed)}"
        ),
        retry_at=opens_at,
    )
