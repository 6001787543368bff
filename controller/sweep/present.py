"""What an act rests on, looked at once more just before it: a sweep may take minutes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.decision.situation import Alerts, Powers
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import PlatformUnavailable, Policies, World
from controller.sweep.alerts import read_alerts
from controller.sweep.judging import Covered, cover
from controller.sweep.situations import SweepLimits

logger = logging.getLogger(__name__)


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
        sources = self.world.alert_sources
        board = await read_alerts(sources, rule, [policy], self._now, began_at=self.began_at)
        return board.of(policy)

    async def _covered(self, workload: Workload, policies: Sequence[MemoryPolicy]) -> Covered | None:
        found = [workload, *await self._as_others_see_it(workload, policies)]
        return next((one for one in cover(policies, found) if one.workload is workload), None)

    async def _as_others_see_it(
        self, workload: Workload, policies: Sequence[MemoryPolicy]
    ) -> Sequence[Workload]:
        """
        An ECS service as the policies of other namespaces reach it.

        They may look at another account, where a service of the same name is another one: so it is asked. Who
        cannot reach it claims nothing, as in a sweep.
        """
        if workload.ref.platform is not Platform.ECS:
            return ()
        others = {one.namespace for one in policies} - {workload.ref.namespace}
        there = [replace(workload, ref=replace(workload.ref, namespace=one)) for one in sorted(others)]
        seen = []
        for claim in cover(policies, there):
            try:
                seen.append(await self.world.inventory.workload(claim.workload.ref))
            except PlatformUnavailable as error:
                logger.warning("claim not looked at", extra={"policy": claim.policy.key, "why": str(error)})
        return [one for one in seen if one is not None and one.uid == workload.uid]

    @property
    def _now(self) -> datetime:
        """Never before the sweep began: a clock that was put back meanwhile makes nothing younger."""
        return max(self.began_at, self.world.clock())

    async def around(self, workload: Workload | None, uid: str) -> Moment:
        """The same for a workload that was read just now. Raises PlatformUnavailable."""
        same = workload if workload is not None and workload.uid == uid else None
        book = await self.policies.book()
        covered = await self._covered(same, book.accepted) if same is not None else None
        return Moment(workload=same, covered=covered, powers=self.limits().powers, now=self._now)
