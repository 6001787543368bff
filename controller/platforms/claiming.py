"""How a process stays the one that acts, whatever its claim is written down in."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)


async def claim_for_ever(claim: Callable[[], Awaitable[bool]], every: timedelta, *, what: str) -> None:
    """Calls `claim` again and again; that `what` cannot be claimed is logged, and tried again as ever."""
    while True:
        try:
            await claim()
        except PlatformUnavailable as error:
            logger.warning("%s not claimed", what, extra={"why": str(error)})
        await asyncio.sleep(every.total_seconds())
