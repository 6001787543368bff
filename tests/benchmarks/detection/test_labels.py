"""The rule for *undecidable*, case by case."""

from dataclasses import replace

import numpy as np
import pytest

from tests.benchmarks.detection.labels import Growth, first_crossing, undecidable_because

HOUR = np.arange(0, 100, 0.1)
STRAIGHT = Growth(
    hour=HOUR,
    gain=0.5 * np.clip((HOUR - 10) / 50, 0, None),
    onset_hour=10.0,
    birth_hour=10.0,
    crossing_hour=60.0,
)


def test_straight_growth_over_two_days_is_decidable() -> None:
    assert undecidable_because(STRAIGHT) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"limit_is_known": False}, "no limit", id="without a limit"),
        pytest.param({"is_visible": False}, "do not show", id="not shown by the series"),
        pytest.param({"crossing_hour": None}, "never crosses", id="not crossing in the record"),
        pytest.param({"crossing_hour": 12.0}, "sooner", id="crossing within three hours"),
        pytest.param({"birth_hour": 0.0}, "began inside", id="late with ten hours of history"),
        pytest.param({"gain": STRAIGHT.gain * 0.1}, "too little", id="gaining five percent"),
        pytest.param(
            {"gain": 0.5 * (1 - np.exp(-np.clip(HOUR - 10, 0, None) / 12))}, "bends", id="saturating"
        ),
        pytest.param({"swing": 0.6, "period_hours": 40.0}, "swing", id="inside a swing of most of its time"),
    ],
)
def test_growth_is_undecidable(changes: dict, reason: str) -> None:
    assert reason in (undecidable_because(replace(STRAIGHT, **changes)) or "decidable")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"swing": 0.3, "period_hours": 40.0}, id="a swing smaller than its gain"),
        pytest.param({"swing": 0.6, "period_hours": 24.0}, id="a swing seen twice"),
        pytest.param(
            {"swing": 0.6, "period_hours": 40.0, "swing_is_explained": True}, id="a swing that load explains"
        ),
        pytest.param({"crossing_hour": None, "rising_lives": 4}, id="four rising lives and no crossing"),
    ],
)
def test_growth_is_decidable_with(changes: dict) -> None:
    assert undecidable_because(replace(STRAIGHT, **changes)) is None


def test_a_spike_is_no_crossing_and_a_quarter_of_an_hour_is() -> None:
    time = 60.0 * np.arange(200)
    memory = np.full(200, 50.0)
    memory[40:44] = 90.0
    limit = np.full(200, 100.0)
    assert first_crossing(time, memory, limit, 0.7) is None
    memory[100:130] = 90.0
    crossing = first_crossing(time, memory, limit, 0.7)
    assert crossing is not None
    assert 100 * 60 < crossing <= 115 * 60


def test_a_crossing_before_the_onset_is_not_the_one() -> None:
    time = 60.0 * np.arange(200)
    memory = np.where((time < 3000) | (time > 9000), 90.0, 10.0)
    assert first_crossing(time, memory, np.full(200, 100.0), 0.7, since=6000.0) > 9000


def test_without_a_limit_nothing_is_crossed() -> None:
    time = 60.0 * np.arange(50)
    assert first_crossing(time, np.full(50, 9.0), np.full(50, np.nan), 0.7) is None
