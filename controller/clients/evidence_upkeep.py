"""Removes evidence that is past its retention, from time to time, while this process leads."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.clients.evidence_store import EvidenceStore
from controller.ports import EvidenceUnavailable

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)


async def keep_within_limits(
    store: EvidenceStore,
    leads: Callable[[], bool],
    clock: Callable[[], datetime],
    told: Callable[[int], None],
    *,
    every: timedelta = EVERY,
) -> None:
    """
    Prunes until cancelled. A store that does not answer is tried again the next time.

    `told` hears how many bytes are left.
    """
    while True:
        await asyncio.sleep(every.total_seconds())
        if not leads():
            continue
        try:
            told(await asyncio.to_thread(store.prune, clock()))
        except EvidenceUnavailable as error:
            logger.warning("evidence past its retention stays", extra={"why": str(error)})
