"""What an act rests on, looked at once more just before it: a sweep may take minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controller.decision.situation import Alerts, Powers
from controller.inventory.workload import Workload, WorkloadRef
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import Policies, World
from controller.sweep.alerts import read_alerts
from controller.sweep.judging import Covered, cover
from controller.sweep.situations import SweepLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One workload and what governs it, at one time."""

    workload: Workload | None
    """None where it is gone, or another one bears its name."""
    covered: Covered | None
    """None where no accepted policy governs it."""
    powers: Powers
    now: datetime

    @property
    def policy(self) -> MemoryPolicy | None:
        """The policy that governs it; None where none does."""
        return self.covered.policy if self.covered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Asks again what a sweep, or a look between two of them, asked when it began."""

    world: World
    policies: Policies
    limits: Callable[[], SweepLimits]
    began_at: datetime

    async def look(self, ref: WorkloadRef, uid: str) -> Moment:
        """One workload, its policy, the kill switch and the time. Raises PlatformUnavailable."""
        return await self.around(await self.world.inventory.workload(ref), uid)

    async def alerts(self, policy: MemoryPolicy) -> Alerts:
        """What fires that holds remediations under `policy`; nobody is asked where no rule names an alert."""
        rule = self.limits().blocking_alerts
        board = await read_alerts(self.world.alert_sources, rule, [policy], self._now)
        return board.of(policy)

    @property
    def _now(self) -> datetime:
        """Never before the sweep began: a clock that was put back meanwhile makes nothing younger."""
        return max(self.began_at, self.world.clock())

    async def around(self, workload: Workload | None, uid: str) -> Moment:
        """The same for a workload that was read just now. Raises PlatformUnavailable."""
        same = workload if workload is not None and workload.uid == uid else None
        book = await self.policies.book()
        covered = next(iter(cover(book.accepted, [same])), None) if same is not None else None
        return Moment(workload=same, covered=covered, powers=self.limits().powers, now=self._now)
