"""
How a workload serves its requests, before a remediation and after it: did that make it worse?

A remediation that frees memory and makes requests fail has not helped. What was not measured is neither
worse nor as good as before: it is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import VerificationRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of each thing that the policy asks for."""

    worse: tuple[str, ...] = ()
    as_good: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join((*self.worse, *self.as_good, *self.unknown))


def compare(rules: VerificationRules, before: ServiceLevel | None, after: ServiceLevel | None) -> Comparison:
    """
    Whether requests were served worse `after` than `before`, by `rules`; None was not measured.

    Numbers of two different rules say nothing about each other, and are not compared.
    """
    worse, as_good, unknown = [], [], []
    changed = before is not None and after is not None and not before.comparable(after)
    for what, was, now, most in _compared(rules, before, after):
        if changed:
            unknown.append(f"{what} not compared: the policy's rules for it were changed since the order")
            continue
        if was is None or now is None:
            unknown.append(f"{what} not compared: {_why_unknown(before, after, was is None)}")
            continue
        shown = _percent if what == "error ratio" else _seconds
        numbers = f"{what} {shown(now)}, {shown(was)} before"
        if now > most:
            worse.append(f"{numbers}, at most {shown(most)} is allowed")
        else:
            as_good.append(numbers)
    return Comparison(worse=tuple(worse), as_good=tuple(as_good), unknown=tuple(unknown))


def _compared(
    rules: VerificationRules, before: ServiceLevel | None, after: ServiceLevel | None
) -> Iterator[tuple[str, float | None, float | None, float]]:
    """What the policy asks for: its name, before, after, and the most that it may be after."""
    if rules.error_ratio is not None:
        was = before.error_ratio if before else None
        now = after.error_ratio if after else None
        yield "error ratio", was, now, (was or 0.0) + rules.error_ratio.maximum_increase
    if rules.latency is not None:
        was = before.latency_seconds if before else None
        now = after.latency_seconds if after else None
        yield "latency", was, now, (was or 0.0) * rules.latency.maximum_ratio


def _why_unknown(before: ServiceLevel | None, after: ServiceLevel | None, was_unknown: bool) -> str:
    level, when = (before, "before") if was_unknown else (after, "after")
    why = level.unmeasured_because if level else "the policy did not ask for it when it was ordered"
    return f"{when}: {why or 'no data'}"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.2f}".rstrip("0").rstrip(".") + " %"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
