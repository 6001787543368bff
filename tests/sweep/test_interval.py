"""How long until the next sweep of `bilgepump ecs`."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.policy.book import PolicyBook
from controller.reporting.census import Census, Seen, census
from controller.sweep.interval import until_next_sweep
from tests.fakes import MIB, NOW, a_judgement, a_policy, a_workload

LONGEST = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


def seen(**changes: Any) -> Census:
    judgement = a_judgement(used_bytes=100 * MIB)
    one = Seen(policy=a_policy(), workload=a_workload(), judgement=judgement, decision=None, incident=None)
    return census(PolicyBook(), [replace(one, **changes)], [], {})


def leaking(**changes: Any) -> Census:
    return seen(judgement=a_judgement(used_bytes=100 * MIB, **changes))


def test_nothing_governed_waits_longest() -> None:
    assert until_next_sweep(census(PolicyBook(), [], [], {}), NOW, LONGEST) == LONGEST


@pytest.mark.parametrize(
    ("found", "wait"),
    [
        pytest.param(seen(judgement=None), LONGEST, id="unjudged"),
        pytest.param(leaking(), timedelta(minutes=2), id="a tenth of the time to the threshold"),
        pytest.param(seen(judgement=a_judgement(used_bytes=360 * MIB)), MINUTE, id="above the threshold"),
    ],
)
def test_wait_depends_on_what_is_nearest_to_danger(found: Census, wait: timedelta) -> None:
    assert until_next_sweep(found, NOW, LONGEST) == wait


def test_shorter_interval_than_a_minute_is_kept() -> None:
    assert until_next_sweep(leaking(), NOW, timedelta(seconds=5)) == timedelta(seconds=5)
