"""Which alerts fire that hold remediations: those the settings name, and those a policy names for its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller.decision.situation import Alerts
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import AlertSource, FiringAlert, MetricsUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingAlerts:
    """What the controller's settings say."""

    source: str = "default"
    pattern: re.Pattern[str] | None = None
    """Alerts whose whole name matches hold every remediation; None: no alert does."""


@dataclass(frozen=True, slots=True)
class AlertBoard:
    """What the sources answered in this sweep."""

    rule: BlockingAlerts
    firing: Mapping[str, tuple[FiringAlert, ...]] = field(default_factory=dict)
    """By source."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """By source: why it cannot be asked."""

    def of(self, policy: MemoryPolicy) -> Alerts:
        """What fires that holds remediations under `policy`."""
        firing: set[str] = set()
        pattern, named = self.rule.pattern, policy.remediation.blocking_alerts
        if pattern is not None:
            if why := self.missing.get(self.rule.source):
                return Alerts(unknown_because=why)
            firing |= {one.name for one in self.firing[self.rule.source] if pattern.fullmatch(one.name)}
        if named:
            if why := self.missing.get(policy.metrics.source):
                return Alerts(unknown_because=why)
            firing |= {
                one.name
                for one in self.firing[policy.metrics.source]
                if one.name in named and one.namespace in ("", policy.namespace)
            }
        return Alerts(firing=tuple(sorted(firing)))


async def read_alerts(
    sources: Mapping[str, AlertSource],
    rule: BlockingAlerts,
    policies: Sequence[MemoryPolicy],
    now: datetime,
    *,
    began_at: datetime | None = None,
) -> AlertBoard:
    """
    Asks each source that somebody's rule needs, once. Never raises: what is not known holds.

    `began_at`: when the sweep began, if that is not `now`.
    """
    wanted = {one.metrics.source for one in policies if one.remediation.blocking_alerts}
    if rule.pattern is not None:
        wanted.add(rule.source)
    firing: dict[str, tuple[FiringAlert, ...]] = {}
    missing: dict[str, str] = {}
    for name in sorted(wanted):
        source = sources.get(name)
        if source is None:
            missing[name] = f"no source of alerts is called '{name}'"
            continue
        try:
            firing[name] = await source.firing(now, began_at or now)
        except MetricsUnavailable as unavailable:
            missing[name] = str(unavailable)
    return AlertBoard(rule, firing, missing)
