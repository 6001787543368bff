import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from controller.clients.evidence_upkeep import keep_within_limits
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.evidence.retention import EvidenceLimits
from controller.ports import EvidenceUnavailable
from tests.fakes import NOW


class Store(VolumeEvidenceStore):
    """Counts; the first time it does not answer."""

    def __init__(self) -> None:
        super().__init__(Path(), EvidenceLimits())
        self.asked: list[datetime] = []
        self.left: list[int] = []
        self.told = asyncio.Event()
        self.twice = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def tell(self, left: int) -> None:
        self.left.append(left)
        self.told.set()

    def prune(self, now: datetime) -> int:
        self.asked.append(now)
        if len(self.asked) == 1:
            raise EvidenceUnavailable("went away")
        self._loop.call_soon_threadsafe(self.twice.set)
        return 7


def upkeep(store: Store, leads: Callable[[], bool]) -> asyncio.Task[None]:
    every = timedelta(milliseconds=1)
    return asyncio.create_task(keep_within_limits(store, leads, lambda: NOW, store.tell, every=every))


async def test_store_that_did_not_answer_is_tried_again() -> None:
    store = Store()
    task = upkeep(store, lambda: True)

    async with asyncio.timeout(10):
        await store.twice.wait()
    task.cancel()
    assert store.asked[:2] == [NOW, NOW]


async def test_only_the_leader_removes() -> None:
    store, turns = Store(), 0

    def not_leading() -> bool:
        nonlocal turns
        turns += 1
        if turns == 5:
            seen.set()
        return False

    seen = asyncio.Event()
    task = upkeep(store, not_leading)
    async with asyncio.timeout(10):
        await seen.wait()
    task.cancel()
    assert store.asked == []


async def test_what_is_left_is_told() -> None:
    store = Store()
    task = upkeep(store, lambda: True)

    async with asyncio.timeout(10):
        await store.told.wait()
    task.cancel()
    assert store.left[0] == 7
