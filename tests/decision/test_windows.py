from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from controller.decision.windows import next_opening, open_until
from controller.policy.memory_policy import Day, Window

BERLIN = ZoneInfo("Europe/Berlin")


def window(start: str, end: str, *days: Day, zone: str = "Europe/Berlin") -> Window:
    return Window(
        days=days or tuple(Day),
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        time_zone=ZoneInfo(zone),
    )


@pytest.mark.parametrize(
    ("now", "open_"),
    [
        ("2026-03-02 01:59", False),
        ("2026-03-02 02:00", True),
        ("2026-03-02 04:59", True),
        ("2026-03-02 05:00", False),
    ],
)
def test_window_holds_its_start_and_not_its_end(now: str, open_: bool) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=BERLIN).astimezone(UTC)

    assert (open_until([window("02:00", "05:00")], at) is not None) == open_


@pytest.mark.parametrize(
    ("now", "open_"),
    [("2026-03-02 23:00", True), ("2026-03-03 01:00", True), ("2026-03-03 23:00", False)],
)
def test_window_over_midnight_belongs_to_the_day_it_starts(now: str, open_: bool) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=BERLIN).astimezone(UTC)

    assert (open_until([window("22:00", "02:00", Day.MON)], at) is not None) == open_


def test_window_keeps_the_clock_on_the_wall_over_daylight_saving() -> None:
    nightly = [window("04:00", "05:00")]

    winter = datetime(2026, 3, 28, 3, 30, tzinfo=UTC)
    summer = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)

    assert open_until(nightly, winter) == datetime(2026, 3, 28, 4, tzinfo=UTC)
    assert open_until(nightly, summer) == datetime(2026, 3, 29, 3, tzinfo=UTC)


def test_window_in_the_skipped_hour_does_not_open_backwards() -> None:
    skipped = [window("02:10", "02:50", Day.SUN)]

    opened = open_until(skipped, datetime(2026, 3, 29, 1, 20, tzinfo=UTC))

    assert opened == datetime(2026, 3, 29, 1, 50, tzinfo=UTC)


def test_next_opening_is_found_a_week_ahead() -> None:
    weekly = [window("02:00", "05:00", Day.MON, zone="Asia/Kolkata")]

    after = datetime(2026, 3, 2, 12, tzinfo=UTC)

    assert next_opening(weekly, after) == datetime(2026, 3, 8, 20, 30, tzinfo=UTC)


def test_without_windows_none_is_open_and_none_opens() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)

    assert open_until([], now) is None
    assert next_opening([], now) is None
