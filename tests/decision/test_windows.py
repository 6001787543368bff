from datetime import UTC, datetime, time, timedelta
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


def test_window_that_ends_when_it_starts_lasts_a_whole_day() -> None:
    monday = [window("06:00", "06:00", Day.MON, zone="UTC")]

    assert open_until(monday, datetime(2026, 3, 3, 5, 59, tzinfo=UTC)) == datetime(2026, 3, 3, 6, tzinfo=UTC)
    assert open_until(monday, datetime(2026, 3, 3, 6, tzinfo=UTC)) is None


def test_window_of_which_the_change_leaves_nothing_does_not_open_that_day() -> None:
    nightly = [window("02:30", "03:30")]

    before = datetime(2026, 3, 28, 12, tzinfo=UTC)

    assert next_opening(nightly, before) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("start", "end", "zone", "day", "hours"),
    [
        pytest.param("01:00", "05:00", "Europe/Berlin", "2026-03-29", 3, id="an hour is skipped within it"),
        pytest.param("01:00", "05:00", "Europe/Berlin", "2026-10-25", 5, id="an hour occurs twice within it"),
        pytest.param("02:30", "03:30", "Europe/Berlin", "2026-10-25", 2, id="it starts at the first 02:30"),
        pytest.param(
            "01:00", "05:00", "Australia/Lord_Howe", "2026-10-04", 3.5, id="half an hour is skipped"
        ),
        pytest.param("01:00", "05:00", "Asia/Kolkata", "2026-03-29", 4, id="a zone that never changes"),
        pytest.param(
            "23:00", "03:00", "America/New_York", "2026-03-07", 3, id="over midnight into the change"
        ),
    ],
)
def test_window_over_a_change_lasts_as_long_as_the_clock_on_the_wall_says(
    start: str, end: str, zone: str, day: str, hours: float
) -> None:
    begins = datetime.fromisoformat(f"{day}T{start}").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    windows = [window(start, end, zone=zone)]

    assert next_opening(windows, begins - timedelta(minutes=1)) == begins
    assert open_until(windows, begins) == begins + timedelta(hours=hours)


def test_all_year_long_there_is_a_next_opening_within_a_day() -> None:
    nightly = [window("02:15", "03:45"), window("22:00", "01:00", zone="America/New_York")]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(365 * 24 // 7):
        at += timedelta(hours=7)
        until, following = open_until(nightly, at), next_opening(nightly, at)
        assert until is None or timedelta() < until - at <= timedelta(hours=4)
        assert following is not None
        assert timedelta() < following - at <= timedelta(hours=25)
