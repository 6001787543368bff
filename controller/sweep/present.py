"""What an act rests on, looked at once more just before it: a sweep may take minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controller.decision.situation import Powers
from controller.inventory.workload import Workload, WorkloadRef
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import Policies, World
from controller.sweep.judging import Covered, cover


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
    powers: Callable[[], Powers]
    began_at: datetime

    async def look(self, ref: WorkloadRef, uid: str) -> Moment:
        """One workload, its policy, the kill switch and the time. Raises PlatformUnavailable."""
        return await self.around(await self.world.inventory.workload(ref), uid)

    async def around(self, workload: Workload | None, uid: str) -> Moment:
        """
        The same for a workload that was read just now. Raises PlatformUnavailable.

        The time is never before the sweep began: a clock that was put back meanwhile makes nothing younger.
        """
        same = workload if workload is not None and workload.uid == uid else None
        book = await self.policies.book()
        covered = next(iter(cover(book.accepted, [same])), None) if same is not None else None
        now = max(self.began_at, self.world.clock())
        return Moment(workload=same, covered=covered, powers=self.powers(), now=now)
