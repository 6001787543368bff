"""One healthy baseline per image, from a young and warm replica, to compare with later."""

from datetime import datetime, timedelta

from controller.decision.decide import may_capture
from controller.decision.situation import Situation
from controller.evidence.capture_plan import plan_baseline
from controller.ports import Profiler

WARM_FRACTION = 1 / 96
"""Share of the lookback after which a replica counts as warm: half an hour of 48 hours."""

YOUNG_FRACTION = 1 / 8
"""Share of the lookback up to which it counts as young: six hours of 48 hours."""

RETRY_AFTER = timedelta(minutes=10)
"""How long after a capture the same baseline is not asked for again, whatever came of it."""


class Baselines:
    """Remembers which baselines are kept, so that the store is asked once."""

    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler
        self._kept: set[str] = set()
        self._tried: dict[str, datetime] = {}

    async def keep(self, situation: Situation) -> None:
        """Takes the baselines that are missing and can be had now."""
        if not may_capture(situation):
            return
        warm = _young_and_warm(situation)
        for rule in situation.policy.evidence.pprof:
            plan = plan_baseline(situation.workload, situation.judgement, rule, warm_replicas=warm)
            if plan is None or not self._due(plan.folder, situation.now):
                continue
            if await self._profiler.holds(plan.folder):
                self._kept.add(plan.folder)
                continue
            self._tried[plan.folder] = situation.now
            await self._profiler.capture(plan)

    def _due(self, folder: str, now: datetime) -> bool:
        tried = self._tried.get(folder)
        return folder not in self._kept and (tried is None or now - tried >= RETRY_AFTER)


def _young_and_warm(situation: Situation) -> frozenset[str]:
    lookback = situation.policy.detection.lookback
    return frozenset(
        replica.name
        for replica in situation.workload.replicas
        if replica.ready
        and lookback * WARM_FRACTION <= situation.now - replica.created_at <= lookback * YOUNG_FRACTION
    )
