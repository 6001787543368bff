"""One sweep after another, while this process leads."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.operator.policies import WatchedPolicies
from controller.platforms.kubernetes.lease import Lease
from controller.ports import PlatformUnavailable, Telemetry
from controller.sweep.flow import Sweeper

logger = logging.getLogger(__name__)

MISSED_SWEEPS = 10
"""So many intervals without a sweep, and the process is no longer alive in any useful sense."""


class Schedule:
    """Sweeps at an interval, sooner when a policy changes."""

    def __init__(
        self,
        *,
        sweeper: Sweeper,
        policies: WatchedPolicies,
        lease: Lease,
        telemetry: Telemetry,
        interval: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._sweeper = sweeper
        self._policies = policies
        self._lease = lease
        self._telemetry = telemetry
        self._interval = interval
        self._clock = clock
        self._last_turn = clock()
        self._swept = False

    @property
    def alive(self) -> bool:
        """The loop has turned lately."""
        allowed = max(self._interval * MISSED_SWEEPS, timedelta(minutes=5))
        return self._clock() - self._last_turn < allowed

    @property
    def ready(self) -> bool:
        """This process has swept, or waits for its turn to lead."""
        return self._swept or not self._lease.held

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            self._policies.changed.clear()
            self._last_turn = self._clock()
            if self._lease.held:
                await self._sweep()
            await self._pause()

    async def _sweep(self) -> None:
        started_at = self._clock()
        try:
            census = await self._sweeper.sweep(await self._policies.book(), started_at)
        except PlatformUnavailable as error:
            logger.warning("sweep ended early", extra={"why": str(error)})
            self._telemetry.failed("platform")
            return
        except Exception:
            # A bug in one sweep must not end the controller: the next one tries again.
            logger.exception("sweep failed")
            self._telemetry.failed("sweep")
            return
        self._swept = True
        ended_at = self._clock()
        self._telemetry.swept(census, (ended_at - started_at).total_seconds(), ended_at)

    async def _pause(self) -> None:
        """Until the next interval; a short while after a change of policy, so that changes come together."""
        seconds = self._interval.total_seconds() if self._lease.held else 1.0
        try:
            async with asyncio.timeout(seconds):
                await self._policies.changed.wait()
                await asyncio.sleep(min(1.0, seconds))
        except TimeoutError:
            return
