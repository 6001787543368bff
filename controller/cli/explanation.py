"""What `bilgepump explain` prints: policy, memory, tests, gates, and what would be done now."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.cli.scan_table import (
    MIB,
    assessment_document,
    crossing_text,
    growth_text,
    rfc3339,
    sparkline,
    usage_text,
)
from controller.decision.gates import GATES
from controller.decision.mechanism import choose
from controller.decision.outcome import Action, Decision, Hold, HoldReason
from controller.decision.situation import Situation
from controller.detection.assessment import Assessment
from controller.detection.judgement import Judgement
from controller.metrics.series import BlockMatrix
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.units import format_duration
from controller.reporting.incident import Incident

_STYLE = {
    Action.REMEDIATE: "bold red",
    Action.HOLD: "yellow",
    Action.CAPTURE: "cyan",
    Action.NONE: "green",
}


@dataclass(frozen=True, slots=True)
class GateReply:
    """One gate and what it says now."""

    gate: str
    """As docs/gates.md calls it."""
    hold: Hold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is told about one workload."""

    situation: Situation
    memory: BlockMatrix
    incident: Incident | None
    gates: tuple[GateReply, ...]
    decision: Decision

    @property
    def finishing(self) -> bool:
        """A remediation was ordered: the controller finishes it and decides nothing new meanwhile."""
        return self.incident is not None and self.incident.open and self.incident.ordered


def gate_answers(situation: Situation) -> tuple[GateReply, ...]:
    """All gates, in the order they are asked."""
    return tuple(GateReply(gate.__name__.replace("_", " "), gate(situation)) for gate in GATES)


def print_explanation(explanation: Explanation) -> None:
    """For people. Colour only repeats what the words say."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    situation = explanation.situation
    console.print(Text(str(situation.workload.ref), style="bold"))
    console.print(_facts(_about(explanation)))
    for assessment in situation.judgement.assessments:
        console.print()
        console.print(Text(f"{assessment.key.pod}/{assessment.key.container}", style="bold"))
        console.print(_facts(_container(explanation, assessment)))
    console.print()
    console.print(_gates(explanation))
    console.print()
    console.print(_conclusion(explanation))


def _facts(facts: list[tuple[str, str]]) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in facts:
        made.add_row(f"  {label}", Text(value))
    return made


def _about(explanation: Explanation) -> list[tuple[str, str]]:
    situation = explanation.situation
    policy, judgement = situation.policy, situation.judgement
    facts = [
        ("policy", f"{policy.key}, {policy.mode.value}, {_how_governed(situation)}"),
        ("asks", _asks(policy)),
        ("judged", f"{judgement.verdict.value}: {_how_many(judgement)}"),
        (
            "rollout",
            (
                f"{situation.workload.rollout.value}, {situation.workload.ready_replicas} of "
                f"{situation.workload.desired_replicas} replicas are ready"
            ),
        ),
    ]
    if situation.conflicting_policies:
        facts.insert(1, ("claimed by", ", ".join((policy.key, *situation.conflicting_policies))))
    if explanation.incident:
        status = explanation.incident.status
        state = "open" if explanation.incident.open else "closed"
        facts.append(
            ("incident", f"{explanation.incident.name}, {state}, {status.phase.value}: {status.message}")
        )
    return facts


def _how_many(judgement: Judgement) -> str:
    of_age, leaking = judgement.replicas_of_age, len(judgement.leaking_replicas)
    return f"of {of_age} replicas that could be judged, {leaking} leak" if of_age else "no replica could be"


def _how_governed(situation: Situation) -> str:
    named = any(one.name == situation.workload.ref.name for one in situation.policy.target.workloads)
    return "which names it" if named else "which selects it by its labels"


def _asks(policy: MemoryPolicy) -> str:
    rules = policy.detection
    line = (
        f"{rules.threshold.value_bytes / MIB:.0f} MiB"
        if rules.threshold.value_bytes
        else f"{rules.threshold.ratio:.0%} of the limit"
    )
    return (
        f"threshold {line}, critical {rules.critical_ratio:.0%}, {rules.sensitivity.value}, "
        f"lookback {format_duration(rules.lookback)}, lead {format_duration(policy.remediation.lead_time)}"
    )


def _container(explanation: Explanation, assessment: Assessment) -> list[tuple[str, str]]:
    now = explanation.situation.now
    facts = [
        ("floors", f"{_floors(explanation.memory, assessment)}  (oldest to newest)"),
        (
            "memory",
            (
                f"{usage_text(assessment)}, threshold {_mib(assessment.threshold_bytes)}, "
                f"soon after its start: {_mib(assessment.young_floor_bytes)}"
            ),
        ),
        ("growth", f"{growth_text(assessment)} per hour, {assessment.growth_class.value}"),
        ("threshold at", _crossing(assessment, now)),
        ("verdict", f"{assessment.verdict.value} ({assessment.reason}): {assessment.message}"),
    ]
    if assessment.ready_at:
        facts.append(("may change at", _moment(assessment.ready_at)))
    if assessment.started_at:
        facts.insert(0, ("runs since", _moment(assessment.started_at)))
    if assessment.tests:
        facts.append(("tests", ", ".join(f"{name} {value:.4g}" for name, value in assessment.tests)))
    return facts


def _crossing(assessment: Assessment, now: datetime) -> str:
    told = crossing_text(assessment, now)
    crossing = assessment.crossing
    if crossing is None:
        return told
    latest = _moment(crossing.latest) if crossing.latest else "never"
    return f"{told}, between {_moment(crossing.earliest)} and {latest}"


def _floors(memory: BlockMatrix, assessment: Assessment) -> str:
    return sparkline(memory, memory.keys.index(assessment.key)) or "nothing was measured"


def _gates(explanation: Explanation) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("GATE", "NOW", "BECAUSE"):
        made.add_column(name, no_wrap=name != "BECAUSE", overflow="fold")
    for reply in explanation.gates:
        hold = reply.hold
        until = f"; may change at {_moment(hold.retry_at)}" if hold and hold.retry_at else ""
        made.add_row(
            reply.gate,
            Text("holds", style="yellow") if hold else Text("passes", style="green"),
            Text(f"{hold.reason.value}: {hold.message}{until}" if hold else ""),
        )
    return made


def _conclusion(explanation: Explanation) -> Text:
    decision = explanation.decision
    if explanation.finishing and explanation.incident:
        name = explanation.incident.name
        return Text(f"Now: the remediation of incident {name} is finished first.", style="bold")
    told = f"Now: {decision.action.value} ({decision.reason.value}): {decision.message}"
    if decision.action is Action.REMEDIATE:
        choice = choose(explanation.situation)
        told += f"; by {choice.mechanism.value} ({choice.because})"
    if decision.retry_at:
        told += f"; may change at {_moment(decision.retry_at)}"
    if decision.action in (Action.NONE, Action.CAPTURE) or decision.reason is HoldReason.NOT_YET_NEEDED:
        told = (
            f"{told.rstrip('.')}. Gates are asked once a restart is wanted; above is what they would answer."
        )
    return Text(told, style=_STYLE[decision.action])


def document(explanation: Explanation) -> dict[str, Any]:
    """For programs."""
    situation, decision, incident = explanation.situation, explanation.decision, explanation.incident
    return {
        "workload": str(situation.workload.ref),
        "at": rfc3339(situation.now),
        "policy": situation.policy.key,
        "policyGeneration": situation.policy.generation,
        "mode": situation.policy.mode.value,
        "conflictingPolicies": list(situation.conflicting_policies),
        "verdict": situation.judgement.verdict.value,
        "replicasLeaking": list(situation.judgement.leaking_replicas),
        "replicasJudged": situation.judgement.replicas_of_age,
        "containers": [_container_document(explanation, one) for one in situation.judgement.assessments],
        "gates": [_gate_document(reply) for reply in explanation.gates],
        "decision": {
            "action": decision.action.value,
            "reason": decision.reason.value,
            "message": decision.message,
            "retryAt": rfc3339(decision.retry_at) if decision.retry_at else None,
            "mechanism": choose(situation).mechanism.value if decision.action is Action.REMEDIATE else None,
        },
        "finishing": explanation.finishing,
        "incident": incident.name if incident else None,
    }


def _container_document(explanation: Explanation, assessment: Assessment) -> dict[str, Any]:
    return {
        **assessment_document(assessment),
        "youngFloorBytes": assessment.young_floor_bytes,
        "startedAt": rfc3339(assessment.started_at) if assessment.started_at else None,
        "readyAt": rfc3339(assessment.ready_at) if assessment.ready_at else None,
        "tests": dict(assessment.tests),
        "floors": _floors(explanation.memory, assessment),
    }


def _gate_document(reply: GateReply) -> dict[str, Any]:
    hold = reply.hold
    return {
        "gate": reply.gate,
        "holds": hold is not None,
        "reason": hold.reason.value if hold else None,
        "message": hold.message if hold else None,
        "retryAt": rfc3339(hold.retry_at) if hold and hold.retry_at else None,
    }


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _mib(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes / MIB:.0f} MiB"
