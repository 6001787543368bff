"""What is asked of the time before the lookback is judged as a replay of files judges all that they hold."""

from dataclasses import replace

import numpy as np
import pytest

from controller.detection.assess import assess
from controller.detection.assessment import Assessment
from controller.metrics.queries import HISTORY_SIGNALS
from controller.metrics.recorded_memory import recorded_from
from controller.metrics.series import Signal
from controller.policy.memory_policy import DetectionRules
from tests.detection.fleet import END, MIB, NOW, container, hours_before, matrix

Signals = dict[Signal, np.ndarray]
WORKING_SET = (Signal.WORKING_SET_FLOOR, Signal.WORKING_SET_TOP)


def without_resident_memory() -> Signals:
    """Five days of a leak of 2 MiB/h, of which the working set and its 100 MiB of file cache are known."""
    hours = hours_before(120)
    one = container(100 + 2 * hours, limit=700)
    one.update({signal: one[signal] + 100 * MIB for signal in WORKING_SET})
    one.update({signal: np.full(len(hours), np.nan) for signal in (Signal.RSS_FLOOR, Signal.RSS_TOP)})
    return {**one, Signal.ACTIVE_FILE: np.full(len(hours), 100 * MIB)}


def without_start_times() -> Signals:
    """Ten days of lives of 40 hours, each of which grows to the limit and ends with a restart."""
    hours = hours_before(240)
    one = container(100 + hours % 40 * 7.5, limit=600)
    del one[Signal.START_TIME]
    return {**one, Signal.RESTARTS: np.floor(hours / 40)}


def shared_memory() -> Signals:
    """Ten days of shared memory that grows so slowly that two of them show nothing."""
    hours = hours_before(240)
    beside = (195 + hours / 8) * MIB
    one = container(np.full(len(hours), 100.0))
    one.update({signal: one[signal] + beside for signal in WORKING_SET})
    return {**one, Signal.CACHE_FLOOR: beside, Signal.ACTIVE_FILE: np.full(len(hours), 10 * MIB)}


def judged_twice(one: Signals) -> tuple[Assessment, Assessment]:
    """As a replay of files judges it, and as the controller does from what it asks for."""
    recorded, row = recorded_from(matrix([one])), np.array([0])
    recent, whole = recorded.until(int(END), 576, row), recorded.widened(12).until(int(END), 240, row)
    asked = {signal: values for signal, values in whole.signals.items() if signal in HISTORY_SIGNALS}
    (replayed,) = assess(recent, DetectionRules(), NOW, history=whole)
    (watched,) = assess(recent, DetectionRules(), NOW, history=replace(whole, signals=asked))
    return replayed, watched


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(without_resident_memory(), "Leaking SteadyGrowth unknown", id="no resident memory"),
        pytest.param(without_start_times(), "Leaking LivesGrow unknown", id="no start times"),
        pytest.param(shared_memory(), "Suspect CacheGrows shmem", id="shared memory"),
    ],
)
def test_controller_says_of_a_longer_time_what_a_replay_says(one: Signals, said: str) -> None:
    replayed, watched = judged_twice(one)

    assert f"{replayed.verdict} {replayed.reason} {replayed.growth_class}" == said
    assert watched == replayed


def test_only_what_nothing_is_judged_by_is_left_out() -> None:
    assert set(Signal) - set(HISTORY_SIGNALS) == {Signal.NEXT_GC_FLOOR, Signal.REQUEST_RATE}
