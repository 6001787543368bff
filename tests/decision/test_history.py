from datetime import timedelta

import pytest

from controller.decision.history import RemediationHistory
from tests.fakes import NOW


def hours(*spans: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(hours=span) for span in spans)


@pytest.mark.parametrize(
    ("earlier", "newest", "strikes"),
    [
        ((), 10, 0),
        ((10,), 5, 0),
        ((10,), 4.9, 1),
        ((10, 4), 1.9, 2),
        ((10, 4), 2, 0),
        ((40, 10, 4), 1.9, 3),
        ((10, 4, 5), 2, 1),
        ((10,), 30, 0),
    ],
)
def test_strikes_are_the_newest_runs_in_a_row_that_halved(
    earlier: tuple[float, ...], newest: float, strikes: int
) -> None:
    history = RemediationHistory(times_to_threshold=hours(*earlier))

    assert history.strikes(timedelta(hours=newest)) == strikes


def test_unknown_time_to_threshold_is_no_strike() -> None:
    assert RemediationHistory(times_to_threshold=hours(10, 4)).strikes(None) == 0


def test_remediations_are_counted_within_the_period_and_since_the_acknowledgement() -> None:
    times = tuple(NOW - timedelta(hours=ago) for ago in (30, 20, 10))
    history = RemediationHistory(remediated_at=times)
    acknowledged = RemediationHistory(remediated_at=times, counted_from=NOW - timedelta(hours=15))

    assert history.remediations_since(NOW - timedelta(hours=24)) == 2
    assert history.remediations_since(NOW - timedelta(hours=20)) == 1
    assert acknowledged.remediations_since(NOW - timedelta(hours=24)) == 1
    assert acknowledged.remediations_since(NOW - timedelta(hours=5)) == 0
