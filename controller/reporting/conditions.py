"""Conditions of a policy's status, by the rules of the Kubernetes API conventions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class ConditionType(StrEnum):
    """What can be true of a policy."""

    ACCEPTED = "Accepted"
    METRICS_AVAILABLE = "MetricsAvailable"
    REMEDIATING = "Remediating"


class ConditionStatus(StrEnum):
    """True, False, or not known."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition; `last_transition_time` moves only when `status` does."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    observed_generation: int
    last_transition_time: datetime


def carried_over(old: tuple[Condition, ...], new: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """`new`, with the transition times of `old` where the status did not change."""
    before = {condition.type: condition for condition in old}
    return tuple(
        replace(condition, last_transition_time=before[condition.type].last_transition_time)
        if condition.type in before and before[condition.type].status is condition.status
        else condition
        for condition in new
    )
