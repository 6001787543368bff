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

FOLLOW_SECONDS = 2.0
"""How often is looked whether a replacement is ready: about as often as readiness is probed."""


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
            following = self._lease.held and await self._sweep()
            await self._pause(following)

    async def _sweep(self) -> bool:
        """Whether there is something to follow before the next sweep."""
        started_at = self._clock()
        try:
            census = await self._sweeper.sweep(self._policies, started_at)
        except PlatformUnavailable as error:
            logger.warning("sweep ended early", extra={"why": str(error)})
            self._telemetry.failed("platform")
            return False
        except Exception:
            # A bug in one sweep must not end the controller: the next one tries again.
            logger.exception("sweep failed")
            self._telemetry.failed("sweep")
            return False
        self._swept = True
        ended_at = self._clock()
        self._telemetry.swept(census, (ended_at - started_at).total_seconds(), ended_at)
        return self._sweeper.following

    async def _pause(self, following: bool) -> None:
        """Until the next interval; a short while after a change of policy, so that changes come together."""
        seconds = self._interval.total_seconds() if self._lease.held else 1.0
        ends_at = asyncio.get_running_loop().time() + seconds
        if following:
            await self._follow_until(ends_at - FOLLOW_SECONDS)
        try:
            async with asyncio.timeout_at(ends_at):
                await self._policies.changed.wait()
                await asyncio.sleep(min(1.0, seconds))
        except TimeoutError:
            return

    async def _follow_until(self, ends_at: float) -> None:
        """Follows what is replaced one replica at a time until `ends_at` on the loop's clock, or its end."""
        loop = asyncio.get_running_loop()
        following = True
        while following and loop.time() < ends_at and not self._policies.changed.is_set():
            await asyncio.sleep(FOLLOW_SECONDS)
            following = self._lease.held and await self._follow()

    async def _follow(self) -> bool:
        """One look; whatever goes wrong, the next sweep sees to it."""
        try:
            return await self._sweeper.follow(self._policies, self._clock())
        except PlatformUnavailable as error:
            logger.warning("a replacement was not followed", extra={"why": str(error)})
        except Exception:
            logger.exception("following failed")
        self._telemetry.failed("follow")
        return False
