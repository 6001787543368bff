"""
Maintenance windows and blackouts: weekly spans of wall-clock time.

Spans are laid out in wall-clock time and then turned into UTC, so a window that starts at 02:00 starts at
02:00 on the clock on the wall before and after a daylight-saving change. A wall-clock time that a change
skips is moved past the gap, and one that occurs twice means its first occurrence (PEP 495, fold=0).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from controller.policy.memory_policy import Day, Window

_DAYS = tuple(Day)


def open_until(windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the last of the windows that contain `now` closes; None where none does."""
    return max((end for start, end in _spans(windows, now) if start <= now < end), default=None)


def next_opening(windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the next window opens, after `now`; None without windows."""
    return min((start for start, _ in _spans(windows, now) if start > now), default=None)


def _spans(windows: Sequence[Window], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every span that can touch the week around `now`, in UTC."""
    for window in windows:
        today = now.astimezone(window.time_zone).date()
        for offset in range(-2, 9):
            date = today + timedelta(days=offset)
            if _DAYS[date.weekday()] not in window.days:
                continue
            last = date if window.end > window.start else date + timedelta(days=1)
            start = datetime.combine(date, window.start, window.time_zone).astimezone(UTC)
            end = datetime.combine(last, window.end, window.time_zone).astimezone(UTC)
            if end > start:
                yield start, end
