"""Everything a decision may look at. There is nothing else to look at."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from controller.decision.approval import Approval, situation_digest
from controller.decision.history import RemediationHistory
from controller.detection.judgement import Judgement
from controller.inventory.request import Request, RequestKind
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
class Limits:
    """What the controller's own settings allow, over all policies together."""

    concurrent: int = 1
    concurrent_in_namespace: int = 1
    concurrent_on_node: int = 1
    per_hour: int = 6
    """Remediations in any hour."""
    looks: int = 1
    """In how many sweeps in a row a remediation must be wanted before it is done."""
    storm_ratio: float = 0.3
    storm_workloads: int = 5
    """More than that share of the judged workloads, and at least so many, are a storm."""
    storm_period: timedelta = timedelta(hours=1)
    """Within how long a time they were found to leak; so long a storm lasts after the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A workload whose replicas are being replaced now."""

    workload: str
    """As people read it."""
    namespace: str
    nodes: frozenset[str] = frozenset()
    """Where its replicas run."""
    disruption_budgets: frozenset[str] = frozenset()
    """Names of the PodDisruptionBudgets that cover them, in its namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbreak:
    """When the workloads of a group that leak now were found to."""

    among: str
    """The group, as people read it."""
    judged: int
    """How many workloads of the group could be judged."""
    detected_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Which of the alerts fire that the settings or the policy name."""

    firing: tuple[str, ...] = ()
    unknown_because: str = ""
    """Why it is not known; empty where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What goes on beside this workload."""

    under_way: tuple[UnderWay, ...] = ()
    remediated_at: tuple[datetime, ...] = ()
    """Every remediation of the last hour, of any workload, oldest first."""
    outbreaks: tuple[Outbreak, ...] = ()
    alerts: Alerts = Alerts()


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidedOrder:
    """The newest order of this episode that was refused or not carried out."""

    at: datetime
    because: str
    times: int = 1
    """How many orders of this episode came to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One workload, its policy, what its memory does, what was done before, and the time."""

    policy: MemoryPolicy
    workload: Workload
    judgement: Judgement
    now: datetime
    history: RemediationHistory = field(default_factory=RemediationHistory)
    powers: Powers = Powers()
    limits: Limits = Limits()
    fleet: Fleet = Fleet()
    looks: int = 1
    """In how many sweeps in a row, this one included, a remediation was wanted."""
    captured: Captured = Captured.NOTHING
    leaked_at: datetime | None = None
    """When the worst container was found to leak, in whichever run of it; None where it never was."""
    kept_heap: bool = False
    """At least one heap profile of this episode is kept."""
    incident: str = ""
    """Name of the incident of this episode; empty while there is none."""
    approval: Approval | None = None
    voided: VoidedOrder | None = None
    overtaken_because: str = ""
    """Why what it was judged by holds no longer; empty while it does."""
    conflicting_policies: tuple[str, ...] = ()
    """Other policies that claim the same workload with equal right."""
    requests: tuple[Request, ...] = ()
    """What people have asked for by hand and not got yet."""
    remediation_duration: timedelta | None = None
    """How long the last remediation of this workload took, where one is known."""

    @property
    def restart_requested(self) -> bool:
        """A person asks for a restart: it is wanted now, and every gate is asked as ever."""
        return any(request.kind is RequestKind.RESTART for request in self.requests)

    @property
    def lead(self) -> timedelta:
        """How long before the threshold an act has to begin: as late as is safe."""
        rules = self.policy.remediation
        duration = self.remediation_duration or timedelta()
        place_in_queue = len(self.fleet.under_way) + 1
        return max(rules.lead_time, duration * place_in_queue)

    @property
    def above_critical(self) -> bool:
        """Whether the worst container uses at least the critical share of its limit."""
        worst = self.judgement.worst
        if worst.used_bytes is None or not worst.limit_bytes:
            return False
        return worst.used_bytes >= self.policy.detection.critical_ratio * worst.limit_bytes

    @property
    def digest(self) -> str:
        """What an approval of this situation is bound to."""
        return situation_digest(self.workload, self.judgement, self.incident)

    @property
    def time_to_threshold(self) -> timedelta | None:
        """From the start of the worst container to the threshold, measured or projected."""
        worst = self.judgement.worst
        if worst.started_at is None:
            return None
        reached_at = max(worst.crossing.likely, self.now) if worst.crossing else self.now
        return reached_at - worst.started_at
