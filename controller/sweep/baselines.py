"""One healthy baseline per image, from a young and warm replica, to compare with later."""

import logging
from datetime import datetime, timedelta

from controller.decision.decide import may_capture
from controller.decision.situation import Situation
from controller.evidence.capture_plan import CapturePlan, plan_baseline
from controller.ports import EvidenceUnavailable, Profiler

logger = logging.getLogger(__name__)

WARM_FRACTION = 1 / 96
"""Share of the lookback after which a replica counts as warm: half an hour of 48 hours."""

YOUNG_FRACTION = 1 / 8
"""Share of the lookback up to which it counts as young: six hours of 48 hours."""

RETRY_AFTER = timedelta(minutes=10)
"""How long after a capture the same baseline is not asked for again, whatever came of it."""


ASK_AGAIN_AFTER = timedelta(hours=6)
"""How long a baseline is taken to be still there: the store keeps a bounded number of them."""


class Baselines:
    """Remembers which baselines are kept, so that the store is asked rarely."""

    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler
        self._kept: dict[str, datetime] = {}
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
            self._tried[plan.folder] = situation.now
            await self._keep(plan, situation.now)

    async def _keep(self, plan: CapturePlan, now: datetime) -> None:
        try:
            if await self._profiler.holds(plan.folder):
                self._kept[plan.folder] = now
                return
        except EvidenceUnavailable as error:
            # What is done about a leak never waits for the store.
            logger.warning("no baseline", extra={"folder": plan.folder, "why": str(error)})
            return
        await self._profiler.capture(plan)

    def _due(self, folder: str, now: datetime) -> bool:
        kept, tried = self._kept.get(folder), self._tried.get(folder)
        if kept is not None and now - kept < ASK_AGAIN_AFTER:
            return False
        return tried is None or now - tried >= RETRY_AFTER


def _young_and_warm(situation: Situation) -> frozenset[str]:
    lookback = situation.policy.detection.lookback
    return frozenset(
        replica.name
        for replica in situation.workload.replicas
        if replica.ready
        and lookback * WARM_FRACTION <= situation.now - replica.created_at <= lookback * YOUNG_FRACTION
    )
