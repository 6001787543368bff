"""
What of the evidence goes when it is too old or too much.

A folder goes as a whole: a report without the profiles it speaks of helps nobody. Incidents go by age, then
the oldest first when room is needed; the evidence of an incident that is open or waits for a person stays
however old it is, and gives room only where nothing else is left to go. Baselines are there to be compared
with for as long as their image runs, so they go by number, the oldest first, and may take up half of the
room.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

BASELINES = "baselines"
"""`baselines/<namespace>/<digest>-<container>`; an incident's folder is `<namespace>/<name>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLimits:
    """How much is kept, and how long."""

    maximum_bytes: int = 2**30
    maximum_age: timedelta = timedelta(days=30)
    maximum_baselines: int = 1000


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """One file as the store lists it; `written_at` is aware."""

    folder: str
    size_bytes: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class _Folder:
    name: str
    size_bytes: int
    newest: datetime

    @property
    def is_baseline(self) -> bool:
        return self.name.startswith(f"{BASELINES}/") and self.name.count("/") == 2


def expired_folders(
    entries: Iterable[KeptEntry],
    limits: EvidenceLimits,
    now: datetime,
    *,
    room_bytes: int = 0,
    writing: str = "",
    keep: Collection[str] = (),
) -> tuple[str, ...]:
    """
    The folders that go so that `room_bytes` more fit; never the one that is being written to.

    The age of a folder is that of its newest file. Those of `keep` never go by age, and for room the last.
    """
    folders = sorted(_folders(entries), key=lambda one: one.newest)
    total = sum(one.size_bytes for one in folders) + room_bytes
    others = [one for one in folders if one.name != writing]
    needed = [one for one in others if one.name in keep]
    incidents = [one for one in others if not one.is_baseline and one.name not in keep]
    baselines = [one for one in others if one.is_baseline and one.name not in keep]
    gone = [one for one in incidents if now - one.newest > limits.maximum_age]
    gone += _surplus(baselines, limits.maximum_baselines, limits.maximum_bytes // 2)
    total -= sum(one.size_bytes for one in gone)
    for one in (*incidents, *baselines, *needed):
        if total <= limits.maximum_bytes:
            break
        if one not in gone:
            gone.append(one)
            total -= one.size_bytes
    return tuple(one.name for one in gone)


def _folders(entries: Iterable[KeptEntry]) -> list[_Folder]:
    sizes: dict[str, int] = defaultdict(int)
    newest: dict[str, datetime] = {}
    for entry in entries:
        sizes[entry.folder] += entry.size_bytes
        newest[entry.folder] = max(entry.written_at, newest.get(entry.folder, entry.written_at))
    return [_Folder(name, size, newest[name]) for name, size in sizes.items()]


def _surplus(oldest_first: list[_Folder], most: int, most_bytes: int) -> list[_Folder]:
    """Those that go until no more than `most` are left with no more than `most_bytes` in all."""
    left, size = len(oldest_first), sum(one.size_bytes for one in oldest_first)
    gone = []
    for one in oldest_first:
        if left <= most and size <= most_bytes:
            break
        gone.append(one)
        left, size = left - 1, size - one.size_bytes
    return gone
