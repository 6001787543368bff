"""A policy's status: conditions, counts, and what grows. No per-pod lists, no clock that ticks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from controller.reporting.conditions import Condition, ConditionStatus, ConditionType, carried_over
from controller.reporting.growing import Growing, kept_where_the_same


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """What `kubectl get mempol` shows."""

    observed_generation: int
    conditions: tuple[Condition, ...] = ()
    workloads: int = 0
    leaking: int = 0
    suspect: int = 0
    unjudged: int = 0
    held: int = 0
    growing: tuple[Growing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """What the sweep found out about one policy."""

    generation: int
    rejected_because: str = ""
    rejection_reason: str = "Invalid"
    unread_because: str = ""
    """Why its platform could not be read; empty where it was."""
    metrics_missing_because: str = ""
    """Empty while metrics are available."""
    remediating: tuple[str, ...] = ()
    """Workloads being remediated now."""
    workloads: int = 0
    leaking: int = 0
    suspect: int = 0
    unjudged: int = 0
    held: int = 0
    growing: tuple[Growing, ...] = ()


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    status: PolicyStatus


_Said = tuple[ConditionStatus, str, str]


def policy_status(facts: PolicyFacts, now: datetime) -> PolicyStatus:
    """The status for these facts, with fresh transition times."""
    if facts.rejected_because:
        said: dict[ConditionType, _Said] = {
            ConditionType.ACCEPTED: (
                ConditionStatus.FALSE,
                facts.rejection_reason,
                facts.rejected_because,
            )
        }
    else:
        said = {
            ConditionType.ACCEPTED: (ConditionStatus.TRUE, "Valid", "the policy is in force"),
            ConditionType.METRICS_AVAILABLE: _metrics(facts),
            ConditionType.REMEDIATING: _remediating(facts),
        }
    return PolicyStatus(
        observed_generation=facts.generation,
        conditions=tuple(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:1024],
                observed_generation=facts.generation,
                last_transition_time=now,
            )
            for kind, (status, reason, message) in said.items()
        ),
        workloads=facts.workloads,
        leaking=facts.leaking,
        suspect=facts.suspect,
        unjudged=facts.unjudged,
        held=facts.held,
        growing=facts.growing,
    )


def _metrics(facts: PolicyFacts) -> _Said:
    if facts.unread_because:
        return ConditionStatus.UNKNOWN, "PlatformUnavailable", facts.unread_because
    if facts.metrics_missing_because:
        return ConditionStatus.FALSE, "MetricsUnavailable", facts.metrics_missing_because
    if not facts.workloads:
        return ConditionStatus.UNKNOWN, "NothingGoverned", "the policy governs no workload"
    return ConditionStatus.TRUE, "Answered", "the metrics source answers"


def _remediating(facts: PolicyFacts) -> _Said:
    if facts.unread_because:
        return ConditionStatus.UNKNOWN, "PlatformUnavailable", facts.unread_because
    if facts.remediating:
        return ConditionStatus.TRUE, "RestartUnderWay", ", ".join(facts.remediating)
    return ConditionStatus.FALSE, "NothingUnderWay", "nothing is being restarted"


def status_document(status: PolicyStatus, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`status` as it stands in the document, keeping what `before` has that did not really change."""
    standing = read_policy_status(before)
    kept = replace(
        status,
        conditions=carried_over(standing.conditions, status.conditions),
        growing=kept_where_the_same(standing.growing, status.growing, now),
    )
    content = _Document(status=kept).model_dump(mode="json", by_alias=True, exclude_none=True)
    document: dict[str, Any] = content["status"]
    return document


def read_policy_status(document: Mapping[str, Any]) -> PolicyStatus:
    """The status in a policy's document; an empty one where it cannot be read."""
    try:
        return _Document.model_validate({"status": {"observedGeneration": 0, **document}}).status
    except ValidationError:
        return PolicyStatus(observed_generation=0)
