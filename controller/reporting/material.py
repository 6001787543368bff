"""When a number has moved enough to be written again: otherwise every sweep would write."""

from datetime import datetime

MATERIAL_CHANGE = 0.1
"""A tenth."""


def moved(old: int | None, new: int | None) -> bool:
    """One of them is unknown, or they differ by more than a tenth of the old one."""
    if old is None or new is None:
        return old is not new
    return abs(new - old) > MATERIAL_CHANGE * max(old, 1)


def crossing_moved(old: datetime | None, new: datetime | None, now: datetime) -> bool:
    """
    One of them is unknown, or they differ by more than a tenth of the time that is left.

    Once it is crossed the time of crossing is the present, which moves and says nothing new.
    """
    if old is None or new is None:
        return old is not new
    if max(old, new) <= now:
        return False
    left = (new - now).total_seconds()
    return abs((new - old).total_seconds()) > MATERIAL_CHANGE * max(left, 60.0)
