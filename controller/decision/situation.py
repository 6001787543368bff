"""Everything a decision may look at. There is nothing else to look at."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from controller.decision.history import RemediationHistory
from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload
from controller.policy.memory_policy import MemoryPolicy


class Captured(IntEnum):
    """How much evidence this episode has: one early capture, one late."""

    NOTHING = 0
    EARLY = 1
    LATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What this controller is able and allowed to do, whatever a policy says."""

    capture: bool = True
    remediate: bool = True
    suspended_because: str = ""
    """Why the whole controller is suspended; empty while it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What goes on beside this workload."""

    remediations_in_progress: tuple[str, ...] = ()
    """Workloads whose replicas are being replaced now, as people read them."""
    concurrent_remediations: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One workload, its policy, what its memory does, what was done before, and the time."""

    policy: MemoryPolicy
    workload: Workload
    judgement: Judgement
    now: datetime
    history: RemediationHistory = field(default_factory=RemediationHistory)
    powers: Powers = Powers()
    fleet: Fleet = Fleet()
    captured: Captured = Captured.NOTHING
    kept_heap: bool = False
    """At least one heap profile of this episode is kept."""
    conflicting_policies: tuple[str, ...] = ()
    """Other policies that claim the same workload with equal right."""
    remediation_duration: timedelta | None = None
    """How long the last remediation of this workload took, where one is known."""

    @property
    def lead(self) -> timedelta:
        """How long before the threshold an act has to begin: as late as is safe."""
        rules = self.policy.remediation
        duration = self.remediation_duration or timedelta()
        place_in_queue = len(self.fleet.remediations_in_progress) + 1
        return max(rules.lead_time, duration * place_in_queue)

    @property
    def above_critical(self) -> bool:
        """Whether the worst container uses at least the critical share of its limit."""
        worst = self.judgement.worst
        if worst.used_bytes is None or not worst.limit_bytes:
            return False
        return worst.used_bytes >= self.policy.detection.critical_ratio * worst.limit_bytes
