"""
What to do about one workload: first the table, then the gates.

The table (docs/how-it-decides.md) says what is wanted from the verdict and from how near the threshold is;
the gates say whether it may be done now.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from controller.decision.gates import GATES
from controller.decision.outcome import Action, Decision, Hold, HoldReason, Reason
from controller.decision.situation import Captured, Situation
from controller.decision.windows import next_opening, open_until
from controller.detection.assessment import Verdict
from controller.detection.reasons import AssessmentReason
from controller.policy.memory_policy import Mode, SuspectAboveCritical

_DOUBTS_ABOUT_SHAPE = frozenset({AssessmentReason.CROSSING_FAR, AssessmentReason.COULD_BE_BOUNDED})


class Danger(Enum):
    """How near the threshold is: the columns of the table."""

    FAR = auto()
    NEAR = auto()
    CROSSED = auto()
    CRITICAL = auto()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the table wants, before any gate."""

    remediate: bool
    capture: Captured
    reason: Reason


def decide(situation: Situation) -> Decision:
    """
    The decision for one workload.

    Evidence comes before the act: while a capture is wanted and possible the answer is `Capture`; once it
    was tried (`Situation.captured`) the same situation leads on to the act or the hold.
    """
    wanted = _table(situation, danger(situation))
    if situation.restart_requested and not wanted.remediate:
        wanted = _Wanted(True, Captured.LATE, Reason.REQUESTED)
    if may_capture(situation) and situation.captured < wanted.capture:
        return Decision(action=Action.CAPTURE, reason=Reason.KEEP_EVIDENCE, message=_what(situation))
    if situation.judgement.verdict is Verdict.LEAKING and not wanted.remediate:
        return _not_yet_needed(situation)
    if not wanted.remediate:
        return Decision(action=Action.NONE, reason=wanted.reason, message=_what(situation))
    holds = tuple(hold for gate in GATES if (hold := gate(situation)) is not None)
    if holds:
        return _held(holds[0], holds)
    return Decision(action=Action.REMEDIATE, reason=wanted.reason, message=_what(situation))


def danger(situation: Situation) -> Danger:
    """How near the threshold the worst container is."""
    worst = situation.judgement.worst
    if situation.above_critical:
        return Danger.CRITICAL
    if worst.used_bytes is not None and worst.threshold_bytes and worst.used_bytes >= worst.threshold_bytes:
        return Danger.CROSSED
    if worst.crossing is None or not _act_now(situation, worst.crossing.earliest):
        return Danger.FAR
    return Danger.NEAR


def _act_now(situation: Situation, earliest: datetime) -> bool:
    """Whether waiting longer would no longer be safe: within the lead, or in the last window before it."""
    due = earliest - situation.lead
    if situation.now >= due:
        return True
    windows = situation.policy.remediation.maintenance_windows
    if not windows or open_until(windows, situation.now) is None:
        return False
    following = next_opening(windows, situation.now)
    return following is None or following > due


def _table(situation: Situation, near: Danger) -> _Wanted:
    match situation.judgement.verdict:
        case Verdict.LEAKING:
            return _when_leaking(situation, near)
        case Verdict.SUSPECT:
            return _when_suspect(situation, near)
        case Verdict.HEALTHY:
            return _Wanted(False, Captured.NOTHING, _high(near, Reason.MEMORY_HIGH))
        case Verdict.INSUFFICIENT_DATA:
            return _Wanted(False, Captured.NOTHING, _high(near, Reason.MEMORY_HIGH_UNJUDGED))


def _when_leaking(situation: Situation, near: Danger) -> _Wanted:
    if near in (Danger.NEAR, Danger.CROSSED) and not _due(situation, near):
        return _Wanted(False, Captured.LATE, Reason.NOTHING_TO_DO)
    match near:
        case Danger.FAR:
            return _Wanted(False, Captured.EARLY, Reason.NOTHING_TO_DO)
        case Danger.NEAR:
            return _Wanted(True, Captured.LATE, Reason.THRESHOLD_NEAR)
        case Danger.CROSSED:
            return _Wanted(True, Captured.LATE, Reason.THRESHOLD_CROSSED)
        case Danger.CRITICAL:
            return _Wanted(True, Captured.LATE, Reason.ABOVE_CRITICAL)


def _due(situation: Situation, near: Danger) -> bool:
    """
    Whether the line is near that the growth may not meet.

    For growth that may still stop by itself that is the critical line, once the threshold is crossed: most
    healthy growth stops before. What grows from day to day may be in a trough below the threshold then.
    """
    if _firm(situation):
        return True
    worst = situation.judgement.worst
    if worst.critical_earliest is None:
        return False
    if near is Danger.CROSSED:
        return _act_now(situation, worst.critical_earliest)
    in_a_trough = worst.verdict is Verdict.LEAKING and worst.reason == AssessmentReason.GROWS_DAY_OVER_DAY
    return in_a_trough and situation.now >= worst.critical_earliest - situation.lead


def _firm(situation: Situation) -> bool:
    """Whether the growth is none that may still stop: by its own shape, or because it came back."""
    judgement, worst = situation.judgement, situation.judgement.worst
    came_back = worst.key.container in situation.history.leaked_before
    return worst.firm or (judgement.verdict is Verdict.LEAKING and came_back)


def _only_its_shape_is_doubted(situation: Situation) -> bool:
    """The same run was found to leak, and nothing is known since but that its shape became doubtful."""
    worst, leaked_at = situation.judgement.worst, situation.leaked_at
    if leaked_at is None or worst.started_at is None or worst.reason not in _DOUBTS_ABOUT_SHAPE:
        return False
    return leaked_at >= worst.started_at


def _when_suspect(situation: Situation, near: Danger) -> _Wanted:
    if _only_its_shape_is_doubted(situation) and (near is Danger.CRITICAL or _due(situation, near)):
        return _when_leaking(situation, near)
    if near is Danger.FAR:
        return _Wanted(False, Captured.EARLY, Reason.SUSPECTED)
    remediate = (
        near is Danger.CRITICAL
        and situation.policy.remediation.suspect_above_critical is SuspectAboveCritical.REMEDIATE
    )
    reason = Reason.ABOVE_CRITICAL if remediate else Reason.MEMORY_HIGH_CAUSE_UNCLEAR
    return _Wanted(remediate, Captured.LATE, reason)


def _high(near: Danger, reason: Reason) -> Reason:
    return reason if near in (Danger.CROSSED, Danger.CRITICAL) else Reason.NOTHING_TO_DO


def may_capture(situation: Situation) -> bool:
    """Whether profiles may be taken here at all."""
    return bool(situation.policy.evidence.pprof) and may_keep_evidence(situation)


def may_keep_evidence(situation: Situation) -> bool:
    """Whether anything may be asked of replicas: the policy's mode, the powers, and every switch."""
    return (
        situation.policy.mode is not Mode.OBSERVE
        and situation.powers.capture
        and not situation.powers.suspended_because
        and not situation.policy.suspend
        and not situation.workload.paused_by
        and not situation.workload.protected_because
        and not situation.conflicting_policies
    )


def _not_yet_needed(situation: Situation) -> Decision:
    worst = situation.judgement.worst
    line, earliest = "the growth may still stop; the critical line", worst.critical_earliest
    if _firm(situation):
        line, earliest = "the threshold", worst.crossing.earliest if worst.crossing else None
    retry_at = max(earliest - situation.lead, situation.now) if earliest else None
    when = f"reached {earliest:%Y-%m-%d %H:%MZ} at the earliest" if earliest else "not in sight"
    hold = Hold(reason=HoldReason.NOT_YET_NEEDED, message=f"{line} is {when}", retry_at=retry_at)
    return _held(hold, (hold,))


def _held(first: Hold, holds: tuple[Hold, ...]) -> Decision:
    return Decision(
        action=Action.HOLD, reason=first.reason, message=first.message, retry_at=first.retry_at, holds=holds
    )


def _what(situation: Situation) -> str:
    return situation.judgement.worst.message
