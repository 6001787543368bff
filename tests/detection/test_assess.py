"""What the detector says of shapes whose truth is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from controller.detection.assess import MOST_GONE, _few_gone, assess
from controller.detection.assessment import GrowthClass, Verdict
from controller.detection.lives import Lives, levelled_off_before
from controller.detection.reasons import AssessmentReason
from controller.detection.trend import slope_interval
from controller.metrics.series import BlockMatrix, Signal
from controller.policy.memory_policy import DetectionRules, Sensitivity, Threshold
from tests.detection.fleet import (
    BLOCK,
    END,
    LIMIT,
    MIB,
    NOW,
    container,
    hourly,
    hours_before,
    judged,
    judged_after,
    matrix,
    past_life,
)

H = hours_before(48)


def test_straight_growth_that_nears_the_threshold_is_leaking_with_its_numbers() -> None:
    (said,) = judged(container(100 + 4.5 * H, started_hours_ago=48.2))

    assert (said.verdict, said.reason) == (Verdict.LEAKING, AssessmentReason.STEADY_GROWTH)
    assert said.growth is not None
    assert said.growth.bytes_per_hour == pytest.approx(4.5 * MIB, rel=0.05)
    assert said.growth.low_bytes_per_hour <= said.growth.bytes_per_hour <= said.growth.high_bytes_per_hour
    assert said.crossing is not None
    assert said.crossing.latest is not None
    assert said.crossing.earliest <= said.crossing.likely <= said.crossing.latest
    crosses_in_hours = (0.7 * LIMIT - (100 + 4.5 * 48)) / 4.5
    assert said.crossing.likely - NOW == pytest.approx(
        timedelta(hours=crosses_in_hours), abs=timedelta(hours=2)
    )
    assert said.threshold_bytes == int(0.7 * LIMIT * MIB)


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(200 + 0 * H, id="flat"),
        pytest.param(330 + 0 * H, id="flat just below the threshold"),
        pytest.param(470 + 0 * H, id="flat far above the threshold"),
        pytest.param(100 + 200 * (1 - np.exp(-H / 8)), id="a warm-up that levels off"),
        pytest.param(60 + 50 * np.log1p(H * 4), id="fragmentation that grows ever more slowly"),
        pytest.param(100 + 200 * ((H % 11) / 11), id="long collection teeth"),
        pytest.param(200 + 100 * np.sin(2 * np.pi * H / 24), id="a daily rhythm"),
        pytest.param(np.where(H > 20, 300.0, 150.0), id="one step"),
        pytest.param(100 + 250 * np.clip((H % 24 - 20) / 4, 0, 1), id="a nightly batch"),
        pytest.param(np.where(H > 20, 110.0, 100 + 5 * H), id="growth that was given back"),
    ],
)
def test_bounded_memory_is_never_leaking_at_any_look(memory: np.ndarray) -> None:
    for hours in range(3, 49, 3):
        (said,) = judged(container(memory[: hours * 12], started_hours_ago=hours + 0.1))

        assert said.verdict is not Verdict.LEAKING, f"after {hours} h: {said.message}"


def test_leak_is_told_before_the_threshold_and_stays_told_behind_it() -> None:
    memory = 100 + 6 * H
    said = {
        hours: judged(container(memory[: hours * 12], started_hours_ago=hours + 0.1))[0].verdict
        for hours in (30, 36, 40, 44, 48)
    }

    assert set(said.values()) == {Verdict.LEAKING}


def test_what_was_said_on_the_first_day_stands_when_the_threshold_is_crossed() -> None:
    memory = 100 + 14 * H
    crosses = (0.7 * LIMIT - 100) / 14
    said = {
        hours: judged(container(memory[: round(hours * 12)], started_hours_ago=hours + 0.1))[0].verdict
        for hours in (crosses - 1, crosses - 0.25, crosses + 0.5, crosses + 2, crosses + 6)
    }

    assert set(said.values()) == {Verdict.LEAKING}


def test_leak_of_a_service_that_needs_most_of_its_limit_is_told_before_the_threshold() -> None:
    crosses = (0.7 * LIMIT - 300) / 1.5

    def after(hours: float) -> Verdict:
        return judged(container(300 + 1.5 * H[: round(hours * 12)], started_hours_ago=hours + 0.1))[0].verdict

    assert after(crosses - 2) is Verdict.LEAKING
    assert after(0.5 * crosses) is not Verdict.LEAKING


def test_growth_that_shows_only_above_the_threshold_is_measured_against_the_critical_line() -> None:
    wild = 87 + 8 * H + 70 * (H < 29) * np.sin(2 * np.pi * H / 5)

    def after(hours: int) -> Verdict:
        (said,) = judged(container(wild[: hours * 12], started_hours_ago=hours + 0.1))
        assert said.used_bytes is not None
        assert said.used_bytes > 0.7 * LIMIT * MIB
        return said.verdict

    assert wild[43 * 12] < 0.85 * LIMIT
    assert after(37) is not Verdict.LEAKING
    assert after(43) is Verdict.LEAKING


def test_leak_under_a_daily_rhythm_is_found_once_days_can_be_compared() -> None:
    hours = hours_before(96)
    memory = 100 + 2.2 * hours + 30 * np.sin(2 * np.pi * hours / 24)
    recent = matrix([container(memory[-576:], started_hours_ago=96)])
    history = hourly(memory, started_hours_ago=96)

    (said,) = assess(recent, DetectionRules(), NOW, history=history)

    assert said.verdict is Verdict.LEAKING


@pytest.mark.parametrize("phase", [0, 6, 12, 18])
def test_growth_that_outlived_a_day_is_seen_through_its_rhythm(phase: int) -> None:
    hours = hours_before(32)
    rhythm = 10 * np.sin(2 * np.pi * (hours + phase) / 24)
    leak, fill = 150 + 4.5 * hours + rhythm, 150 + 180 * (1 - np.exp(-hours / 20)) + rhythm

    leaks, fills = judged(*(container(one, noise=2, seed=1, started_hours_ago=32.1) for one in (leak, fill)))

    assert (leaks.verdict, leaks.reason) == (Verdict.LEAKING, AssessmentReason.STEADY_GROWTH)
    assert fills.verdict is not Verdict.LEAKING


def test_leak_under_a_daily_rhythm_is_found_while_the_second_day_goes_on() -> None:
    hours = hours_before(60)
    memory = 100 + 4.8 * hours + 25 * np.sin(2 * np.pi * hours / 24)

    said = [judged_after(at, memory).verdict for at in range(34, 60)]

    assert Verdict.LEAKING in said
    assert max(memory[: (34 + said.index(Verdict.LEAKING)) * 12]) < 0.7 * LIMIT


@pytest.mark.parametrize(
    "grown",
    [
        pytest.param(lambda h: 0 * h, id="only the rhythm"),
        pytest.param(lambda h: 110 * (1 - np.exp(-h / 9)), id="a warm-up"),
        pytest.param(lambda h: 110 * (h > 20), id="a level that moved once"),
        pytest.param(lambda h: 110 * np.minimum(h / 26, 1), id="a cache that filled"),
    ],
)
def test_higher_second_day_that_gains_no_more_is_no_leak(grown: Callable[[np.ndarray], np.ndarray]) -> None:
    hours = hours_before(60)
    memory = 170 + grown(hours) + 45 * np.sin(2 * np.pi * hours / 24)

    for at in range(34, 61, 2):
        assert judged_after(at, memory).verdict is not Verdict.LEAKING, f"after {at} h"


def test_leak_by_days_that_was_told_before_the_threshold_stays_told_behind_it() -> None:
    hours = hours_before(96)
    memory = 140 + 3 * hours + 50 * np.sin(2 * np.pi * hours / 24)

    assert memory[: 57 * 12].max() < 0.7 * LIMIT < memory[: 80 * 12].max()
    assert {judged_after(at, memory).verdict for at in range(57, 94, 3)} == {Verdict.LEAKING}


@pytest.mark.parametrize("stalls_at", [340.0, 370.0, 440.0], ids=["below", "over threshold", "over critical"])
def test_growth_that_just_stalled_is_waited_for_on_either_side_of_a_line(stalls_at: float) -> None:
    hours = (stalls_at - 100) / 14 + 1.4
    grows = 100 + 14 * H[: round(hours * 12)]
    stalls = np.minimum(grows, stalls_at)

    assert judged(container(grows, started_hours_ago=hours + 0.1))[0].verdict is Verdict.LEAKING
    (said,) = judged(container(stalls, started_hours_ago=hours + 0.1))
    assert (said.verdict, said.reason) == (Verdict.SUSPECT, AssessmentReason.COULD_BE_BOUNDED)


def test_growth_of_the_first_day_is_told_only_when_its_threshold_is_near() -> None:
    memory = 100 + 14 * H
    crosses = (0.7 * LIMIT - 100) / 14
    told = {
        before: judged(container(memory[: round((crosses - before) * 12)]))[0].verdict
        for before in (6, 3, 0.5)
    }

    assert told == {6: Verdict.SUSPECT, 3: Verdict.SUSPECT, 0.5: Verdict.LEAKING}


def test_growth_of_less_than_a_day_is_no_leak_where_no_start_is_known() -> None:
    known = container(100 + 14 * H[: 18 * 12], started_hours_ago=18.1)
    unknown = {signal: values for signal, values in known.items() if signal is not Signal.START_TIME}

    assert judged(known)[0].verdict is Verdict.LEAKING
    assert judged(unknown)[0].verdict is Verdict.SUSPECT


def test_growth_that_began_after_the_start_is_not_taken_for_growth_since_the_start() -> None:
    hours = H[: 12 * 12]
    since_start = container(80 + 22 * hours, started_hours_ago=12.1)
    stood_first = container(120 + 29 * np.maximum(hours - 2.5, 0), started_hours_ago=12.1)

    assert judged(since_start)[0].verdict is Verdict.LEAKING
    assert judged(stood_first)[0].verdict is Verdict.SUSPECT


def test_growth_of_a_few_hours_that_is_already_over_the_line_is_no_leak() -> None:
    hours = H[: 4 * 12]
    (said,) = judged(container(60 + 104 * hours, started_hours_ago=4.1))

    assert said.used_bytes is not None
    assert said.used_bytes > 0.85 * LIMIT * MIB
    assert said.verdict is not Verdict.LEAKING


@pytest.mark.parametrize("follows", [True, False])
def test_growth_that_follows_the_live_heap_is_as_old_as_that_of_the_heap(*, follows: bool) -> None:
    live = 90 + 5.4 * H[: 40 * 12]
    heap = live if follows else 0 * live + 200
    memory = np.maximum(240, 1.05 * live)

    (said,) = judged(container(memory, started_hours_ago=40.1, heap_floor=heap * MIB, noise=0.2))

    assert (said.verdict is Verdict.LEAKING) is follows


def test_leak_per_request_that_rests_at_night_is_found_along_the_requests() -> None:
    hours = H[: 30 * 12]
    load = 4 + 56 * np.maximum(np.sin(2 * np.pi * (hours + 15) / 24), 0) ** 1.5
    leaks = 100 + 240 * np.cumsum(load) / load.sum()

    (along_time,) = judged(container(leaks, started_hours_ago=30.1))
    (along_requests,) = judged(container(leaks, started_hours_ago=30.1, request_rate=load))

    assert along_time.verdict is not Verdict.LEAKING
    assert along_requests.verdict is Verdict.LEAKING


def test_days_are_compared_alike_whoever_else_is_judged() -> None:
    hours = hours_before(120)
    leak = 100 + 3.4 * hours[: 60 * 12] + 60 * np.sin(2 * np.pi * hours[: 60 * 12] / 24)
    older = 200 + 20 * np.sin(2 * np.pi * hours / 24)

    def said(*memories: np.ndarray) -> Verdict:
        recent = matrix([container(one[-576:], started_hours_ago=len(one) / 12) for one in memories])
        wide = [
            container(one.reshape(-1, 12).min(axis=1), started_hours_ago=len(one) / 12) for one in memories
        ]
        history = replace(matrix(wide), block_seconds=3600.0)
        return assess(recent, DetectionRules(), NOW, history=history)[0].verdict

    assert said(leak) is Verdict.LEAKING
    assert said(leak, older) is Verdict.LEAKING


@pytest.mark.parametrize(
    ("base", "hours", "sensitivity", "firm"),
    [
        pytest.param(200, 14, Sensitivity.BALANCED, False, id="young, and less than what was there"),
        pytest.param(60, 14, Sensitivity.BALANCED, True, id="young, and far more than what was there"),
        pytest.param(60, 14, Sensitivity.CONSERVATIVE, True, id="far more, cautiously"),
        pytest.param(110, 14, Sensitivity.CONSERVATIVE, False, id="twice as much, cautiously"),
        pytest.param(200, 38, Sensitivity.BALANCED, True, id="it has outlived a day and a half"),
        pytest.param(200, 30, Sensitivity.BALANCED, False, id="not yet"),
        pytest.param(200, 38, Sensitivity.CONSERVATIVE, False, id="the same, cautiously"),
        pytest.param(200, 14, Sensitivity.EAGER, True, id="eagerly"),
    ],
)
def test_leak_is_firm_when_it_outgrew_or_outlived_what_stops_by_itself(
    base: float, hours: int, sensitivity: Sensitivity, *, firm: bool
) -> None:
    slope = (0.68 * LIMIT - base) / hours
    fleet = matrix([container(base + slope * H[: hours * 12], started_hours_ago=hours + 0.1)])

    (said,) = assess(fleet, DetectionRules(sensitivity=sensitivity), NOW)

    assert (said.verdict, said.firm) == (Verdict.LEAKING, firm)
    assert said.critical_earliest is not None
    assert said.crossing is not None
    assert said.crossing.earliest < said.critical_earliest


@pytest.mark.parametrize(
    ("hours", "gain", "firm"),
    [
        pytest.param(58, 230, False, id="not yet"),
        pytest.param(66, 230, True, id="two days and a half"),
        pytest.param(66, 300, False, id="when it had crossed"),
    ],
)
def test_leak_by_days_is_firm_a_day_later(hours: int, gain: float, *, firm: bool) -> None:
    rhythm = hours_before(hours)
    slope = gain / hours
    said = judged_after(hours, 100 + slope * rhythm + 25 * np.sin(2 * np.pi * rhythm / 24))

    assert (said.verdict, said.reason) == (Verdict.LEAKING, AssessmentReason.GROWS_DAY_OVER_DAY)
    assert said.firm is firm


def test_leak_by_days_is_firm_at_once_where_all_leaks_are() -> None:
    rhythm = hours_before(58)
    memory = 100 + 4 * rhythm + 25 * np.sin(2 * np.pi * rhythm / 24)
    whole = hourly(memory, started_hours_ago=58.1)
    (eager,) = assess(
        matrix([container(memory[-48 * 12 :], started_hours_ago=58.1)]),
        DetectionRules(sensitivity=Sensitivity.EAGER),
        NOW,
        history=whole,
    )
    (short,) = assess(
        matrix([container(memory[-12 * 12 :], started_hours_ago=58.1)]),
        DetectionRules(lookback=timedelta(hours=12)),
        NOW,
        history=whole,
    )

    assert [said.verdict for said in (eager, short)] == [Verdict.LEAKING] * 2
    assert eager.firm
    assert short.firm


@pytest.mark.parametrize("spike", [False, True])
def test_critical_line_of_what_is_no_longer_told_as_a_leak_is_met_from_the_newest_tops(
    *, spike: bool
) -> None:
    stopped = container(np.minimum(100 + 9.2 * H[: 37 * 12], 400), started_hours_ago=37.1)
    if spike:
        stopped[Signal.WORKING_SET_TOP][-36] = 0.9 * LIMIT * MIB

    (said,) = judged(stopped)

    assert said.verdict is Verdict.SUSPECT
    assert said.used_bytes is not None
    assert said.critical_earliest is not None
    least = (0.85 * LIMIT * MIB - said.used_bytes - 3 * MIB) / (9.2 * MIB)
    assert (said.critical_earliest - NOW) / timedelta(hours=1) > least


@pytest.mark.parametrize("base", [0.72, 0.84])
def test_leak_that_began_above_its_threshold_is_told_before_the_limit(base: float) -> None:
    grown = base * LIMIT + (0.97 - base) * LIMIT / 44 * H[: 44 * 12]

    (said,) = judged(container(grown, started_hours_ago=44.1))

    assert said.verdict is Verdict.LEAKING


@pytest.mark.parametrize("power", [1.6, 1.8])
def test_doubt_in_growth_that_accelerates_ends_where_it_crossed_the_threshold_untold(power: float) -> None:
    limb = 100 + (0.87 * LIMIT - 100) * (H / 24) ** power
    before, behind = (
        judged(container(limb[: round(hours * 12)], started_hours_ago=hours + 0.1))[0]
        for hours in (21, 23.25)
    )

    assert behind.used_bytes is not None
    assert 0.8 * LIMIT * MIB < behind.used_bytes < 0.85 * LIMIT * MIB
    assert (before.verdict, behind.verdict) == (Verdict.SUSPECT, Verdict.LEAKING)


def test_one_collection_does_not_hide_a_leak() -> None:
    """As a heap profile asks for one; memory is back where it was in the next block."""
    hours = hours_before(32)
    memory = 150 + 4.5 * hours
    memory[-40] -= 60

    (said,) = judged(container(memory, started_hours_ago=32.1))

    assert said.verdict is Verdict.LEAKING


@pytest.mark.parametrize("given_back", [slice(-240, -215), slice(-240, -228)])
def test_memory_that_was_given_back_whole_or_for_longer_is_no_leak(given_back: slice) -> None:
    hours = hours_before(32)
    memory = 150 + 4.5 * hours
    memory[given_back] = 100

    (said,) = judged(container(memory, started_hours_ago=32.1))

    assert said.verdict is not Verdict.LEAKING


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("span_hours", [29, 32, 36])
def test_leak_without_a_rhythm_is_told_when_it_outlived_a_day(span_hours: int, seed: int) -> None:
    memory = 150 + 150 * hours_before(span_hours) / span_hours

    (said,) = judged(container(memory, noise=6, seed=seed, started_hours_ago=span_hours + 0.1))

    assert said.verdict is Verdict.LEAKING


@pytest.mark.parametrize("base", [0.705, 0.715])
@pytest.mark.parametrize("hours", [30, 36, 44])
def test_drift_of_what_always_stood_above_its_threshold_is_no_leak(base: float, hours: int) -> None:
    grown = (0.835 - base) * LIMIT / hours * H[: hours * 12]

    (said,) = judged(container(base * LIMIT + grown, started_hours_ago=hours + 0.1))

    assert said.verdict is not Verdict.LEAKING


@pytest.mark.parametrize("critical", [0.85, 0.97, 1.0])
def test_doubt_in_growth_that_accelerates_counts_below_the_threshold_wherever_the_critical_line_is(
    critical: float,
) -> None:
    hours = H[: 18 * 12]
    limbs = [120 + (0.69 * LIMIT - 120) * (hours / 18) ** power for power in (1.4, 1.6, 1.8)]

    said = assess(
        matrix([container(limb, started_hours_ago=18.1) for limb in limbs]),
        DetectionRules(critical_ratio=critical),
        NOW,
    )

    assert {one.verdict for one in said} == {Verdict.SUSPECT}


@pytest.mark.parametrize("minutes", [30, 45, 60])
def test_leak_by_its_lives_is_not_near_its_threshold_when_its_run_is_young(minutes: int) -> None:
    begin = 48 - minutes / 60
    age = np.where(begin <= H, H - begin, (H - begin) % 6)
    lives = container(100 + 4 * age, noise=1.0)
    lives[Signal.START_TIME] = (H - age - 48) * 3600

    (said,) = judged(lives)

    assert said.reason == AssessmentReason.LIVES_GROW
    assert said.crossing is not None
    assert said.crossing.earliest > NOW + timedelta(hours=30)


@pytest.mark.parametrize("seed", range(4))
def test_what_grows_beside_the_process_is_projected_at_its_own_pace(seed: int) -> None:
    beside = container(np.full(len(H), 100.0), started_hours_ago=48.1, seed=seed)
    for signal in (Signal.WORKING_SET_FLOOR, Signal.WORKING_SET_TOP):
        beside[signal] = beside[signal] + 4 * H * MIB
    beside[Signal.CACHE_FLOOR] = 4 * H * MIB

    (said,) = judged(beside)

    assert said.crossing is not None
    assert said.crossing.likely - NOW == pytest.approx(timedelta(hours=16), abs=timedelta(hours=1))


def test_crossing_of_growth_that_accelerates_is_not_told_too_late() -> None:
    hours = hours_before(120)
    memory = 60 + 20 * np.exp(hours / 30)
    crosses = 30 * np.log((0.7 * LIMIT - 60) / 20)
    at = 60
    said = judged_after(at, memory)

    assert said.crossing is not None
    assert said.crossing.latest is not None
    assert said.crossing.earliest <= NOW + timedelta(hours=crosses - at) <= said.crossing.latest


def test_class_of_growth_found_by_days_is_named_from_what_was_added_since_it_began() -> None:
    hours = hours_before(96)
    added = 2.6 * np.maximum(hours - 44, 0)
    memory = 180 + added + 30 * np.sin(2 * np.pi * hours / 24)
    heap = (90 + 0.5 * added) * MIB
    recent = matrix([container(memory[-576:], started_hours_ago=96, heap_floor=heap[-576:])])
    older = matrix([container(memory[::12], started_hours_ago=96, heap_floor=heap[::12])])

    (said,) = assess(recent, DetectionRules(), NOW, history=replace(older, block_seconds=3600.0))

    assert (said.reason, said.growth_class) == (AssessmentReason.GROWS_DAY_OVER_DAY, GrowthClass.HEAP)


def test_rhythm_that_the_request_rate_explains_hides_no_leak() -> None:
    load = 50 + 30 * np.sin(2 * np.pi * H / 24)
    leaking = container(60 + 5 * H + 1.2 * load, request_rate=load, started_hours_ago=48)

    (said,) = judged(leaking)

    assert said.verdict is Verdict.LEAKING


def test_memory_that_rises_with_the_request_rate_is_no_leak() -> None:
    load = 20 + 4 * H
    (said,) = judged(container(60 + 1.2 * load, request_rate=load, started_hours_ago=48))

    assert said.verdict is not Verdict.LEAKING
    assert said.reason == AssessmentReason.FOLLOWS_LOAD


def test_replica_that_fills_as_an_older_one_did_is_no_leak() -> None:
    fills = 60 + np.minimum(9.2 * H, 275)
    older = container(fills, started_hours_ago=48)
    younger = container(fills[: 29 * 12], started_hours_ago=29)

    alone = judged(younger)[0]
    beside = judged(older, younger, peer_groups=("Deployment shop/api/app",) * 2)[1]

    assert alone.verdict is Verdict.LEAKING
    assert (beside.verdict, beside.reason) == (Verdict.SUSPECT, AssessmentReason.LEVELLED_OFF_BEFORE)


@pytest.mark.parametrize("goes_on", [True, False])
def test_replica_that_is_older_speaks_from_when_it_stopped_however_it_grew_before(*, goes_on: bool) -> None:
    fills = 60 + 9.2 * H
    older = container(fills if goes_on else np.minimum(fills, 380), started_hours_ago=48)
    younger = container(fills[: 31 * 12], started_hours_ago=31)

    _, said = judged(older, younger, peer_groups=("Deployment shop/api/app",) * 2)

    assert said.verdict is (Verdict.LEAKING if goes_on else Verdict.SUSPECT)
    assert (said.reason is AssessmentReason.LEVELLED_OFF_BEFORE) is not goes_on


def test_replica_that_fell_back_or_rested_at_its_end_is_no_witness_that_growth_stops() -> None:
    grows = 60 + 9.2 * H
    younger = container(grows[: 31 * 12], started_hours_ago=31)

    for end in (np.minimum(grows, 480) - 250 * (H > 46), np.where(H > 42, 100.0, grows)):
        older = container(end, started_hours_ago=48)
        _, said = judged(older, younger, peer_groups=("Deployment shop/api/app",) * 2)
        assert said.verdict is Verdict.LEAKING


GROUP = ("Deployment shop/api/app",) * 3


def _replicas(one: np.ndarray, other: np.ndarray) -> list[dict[Signal, np.ndarray]]:
    memories = (one, other, 1.1 * other)
    return [container(memory, started_hours_ago=30.1, seed=seed) for seed, memory in enumerate(memories)]


def test_rhythm_that_all_replicas_share_hides_no_leak_of_one() -> None:
    hours = hours_before(30)
    shared = 130 + 40 * np.sin(2 * np.pi * hours / 24 - 2)
    fleet = _replicas(shared + 6 * hours, shared)

    alone = judged(fleet[0])[0]
    among = judged(*fleet, peer_groups=GROUP)

    assert alone.verdict is not Verdict.LEAKING
    assert [said.verdict is Verdict.LEAKING for said in among] == [True, False, False]


def test_replica_that_is_gone_is_none_at_the_same_time() -> None:
    hours = hours_before(36)
    shared = 130 + 40 * np.sin(2 * np.pi * hours / 24 - 2)
    memories = (shared + 5 * hours, shared, 1.1 * shared)
    fleet = [container(memory, started_hours_ago=36.1, seed=seed) for seed, memory in enumerate(memories)]
    gone = past_life(0, 12, lambda age: 250 + 0 * age)

    (said, *_) = judged(*fleet, gone, peer_groups=[*GROUP, GROUP[0]])

    assert said.verdict is Verdict.LEAKING


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(lambda h, s: 1.6 * s, lambda h, s: s, id="a larger shard with the same day"),
        pytest.param(lambda h, s: s + 4 * h, lambda h, s: s + 3 * h, id="all of them grow with customers"),
        pytest.param(lambda h, s: s + 120 * (h > 20), lambda h, s: s, id="one got a larger tenant"),
    ],
)
def test_what_replicas_share_makes_no_leak_of_a_replica_that_stands_above(
    one: Callable[[np.ndarray, np.ndarray], np.ndarray], other: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    hours = hours_before(30)
    shared = 130 + 40 * np.sin(2 * np.pi * hours / 24 - 2)
    (said, *_) = judged(*_replicas(one(hours, shared), other(hours, shared)), peer_groups=GROUP)

    assert said.verdict is not Verdict.LEAKING


def test_leak_that_restarts_hide_is_found_by_its_lives() -> None:
    life = H % 8
    starts = (H - life - 48) * 3600
    restarted = container(100 + 30 * life, start_time=np.minimum(starts, 0))

    (said,) = judged(restarted)

    assert (said.verdict, said.reason) == (Verdict.LEAKING, AssessmentReason.LIVES_GROW)


def test_leak_by_its_lives_is_told_with_the_pace_of_the_lives() -> None:
    age = np.where(H < 45, H % 9, H - 45)
    memory = np.where(H < 45, 100 + 25 * age, 130 - 6 * age)
    (said,) = judged(container(memory, start_time=(H - age - 48) * 3600))

    assert said.reason is AssessmentReason.LIVES_GROW
    assert said.growth is not None
    assert said.growth.low_bytes_per_hour <= said.growth.bytes_per_hour <= said.growth.high_bytes_per_hour
    assert said.growth.bytes_per_hour == pytest.approx(25 * MIB, rel=0.1)


def _surge() -> list[dict[Signal, np.ndarray]]:
    """Pods that an autoscaler started and stopped: each lived for two hours, and warmed up."""
    begins = np.arange(2, 46, 4.4)
    return [
        past_life(begin, begin + 2, lambda age: 120 + 210 * (1 - np.exp(-age / 2)), seed=row)
        for row, begin in enumerate(begins)
    ]


@pytest.mark.parametrize("stands_at", [150, 270, 330])
def test_short_lives_that_warmed_up_accuse_no_replica_that_outlived_them(stands_at: float) -> None:
    stayed = [container(stands_at + 0 * H, started_hours_ago=200, seed=90 + place) for place in range(2)]
    young, surge = past_life(46.2, 48, lambda age: 120 + 80 * age), _surge()

    first, *rest = judged(young, *stayed, *surge, peer_groups=["api"] * (3 + len(surge)))

    assert (first.verdict, first.reason) == (Verdict.SUSPECT, AssessmentReason.LEVELLED_OFF_BEFORE)
    assert {one.reason for one in rest[:2]} == {AssessmentReason.NOTHING_KEPT}


def test_short_lives_that_grew_accuse_the_next_where_nobody_outlived_them() -> None:
    young, surge = past_life(46.2, 48, lambda age: 120 + 80 * age), _surge()

    (said, *_) = judged(young, *surge, peer_groups=["api"] * (1 + len(surge)))

    assert (said.verdict, said.reason) == (Verdict.LEAKING, AssessmentReason.LIVES_GROW)


def test_replica_that_leaks_more_slowly_acquits_no_other() -> None:
    lives = [
        past_life(begin, min(begin + 5, 48), lambda age: 100 + 60 * age, seed=row)
        for row, begin in enumerate(np.arange(0, 48, 5.1))
    ]
    slower = past_life(30, 48, lambda age: 100 + 12 * age)

    said = judged(*lives, slower, peer_groups=["api"] * (len(lives) + 1))

    assert said[len(lives) - 1].reason is AssessmentReason.LIVES_GROW


def test_few_of_very_many_that_are_gone_speak_for_their_kind() -> None:
    def grows(age: np.ndarray) -> np.ndarray:
        return 120 + 60 * age

    long = past_life(0.5, 5, grows)
    gone = [past_life(begin, begin + 2, grows, seed=row) for row, begin in enumerate(np.linspace(1, 45, 300))]
    young = past_life(47.5, 48, grows)
    fleet = [long, *gone, young]

    speak = [group == "api" for group in _few_gone(matrix(fleet), ["api"] * 302, 1800)]

    assert all(speak[-MOST_GONE // 2 :]), "the newest, and who lives"
    assert speak[0], "who lived longest"
    assert sum(speak) <= MOST_GONE + 1
    assert judged(*fleet, peer_groups=["api"] * 302)[-1].reason is AssessmentReason.LIVES_GROW


@pytest.mark.parametrize(
    ("fell_to", "leaking"),
    [
        pytest.param(12, True, id="the process began anew in its container"),
        pytest.param(40, False, id="it gave back less than it had since its start"),
    ],
)
def test_process_that_began_anew_in_its_container_grows_since_then(fell_to: float, *, leaking: bool) -> None:
    """It stood at 45 MiB for five hours; no start is told for what began when it fell."""
    hours = H[: 18 * 12]
    memory = np.where(hours < 5, 45, fell_to + (345 - fell_to) / 13 * (hours - 5))

    (said,) = judged(container(memory, started_hours_ago=18.5))

    assert (said.verdict is Verdict.LEAKING) is leaking
    assert not (leaking and said.firm), "it may have been a cache that was cleared"


def test_replicas_that_rise_on_the_limb_of_one_day_are_no_lives_that_all_grow() -> None:
    hours = H[: 7 * 12]
    limb = 110 + 50 * (1 - np.cos(np.pi * hours / 12))
    silent_for_an_hour = container(np.where(hours < 6, limb, np.nan), started_hours_ago=30)
    others = [container(limb, started_hours_ago=30, seed=seed) for seed in range(1, 5)]

    said = judged(silent_for_an_hour, *others, peer_groups=["api"] * 5)

    assert Verdict.LEAKING not in {one.verdict for one in said}


def test_same_teeth_without_restarts_are_collections() -> None:
    (said,) = judged(container(100 + 30 * (H % 8), started_hours_ago=200))

    assert said.verdict is not Verdict.LEAKING


@pytest.mark.parametrize(
    ("signals", "growth_class"),
    [
        pytest.param({"heap_floor": (80 + 5 * H) * MIB}, GrowthClass.HEAP, id="the live heap grows"),
        pytest.param({"heap_floor": (80 + 0 * H) * MIB}, GrowthClass.NATIVE, id="the live heap does not"),
        pytest.param(
            {"heap_floor": (80 + 0.1 * H) * MIB, "goroutines_floor": 100 + 500 * H},
            GrowthClass.GOROUTINE,
            id="goroutines grow",
        ),
        pytest.param({}, GrowthClass.UNKNOWN, id="nothing tells"),
    ],
)
def test_class_is_named_from_what_the_process_tells(
    signals: dict[str, np.ndarray], growth_class: GrowthClass
) -> None:
    (said,) = judged(container(100 + 5 * H, started_hours_ago=48, **signals))

    assert said.growth_class is growth_class


@pytest.mark.parametrize(
    ("cache", "active", "growth_class"),
    [
        pytest.param(5.0, 5.0, GrowthClass.PAGE_CACHE, id="active files"),
        pytest.param(5.0, 0.0, GrowthClass.SHMEM, id="shared memory"),
        pytest.param(0.0, 0.0, GrowthClass.KERNEL, id="neither: the kernel"),
    ],
)
def test_growth_beside_the_process_is_told_and_never_leaking(
    cache: float, active: float, growth_class: GrowthClass
) -> None:
    working_set = (110 + 5 * H) * MIB
    (said,) = judged(
        container(
            100 + 0 * H,
            working_set_floor=working_set,
            working_set_top=working_set,
            cache_floor=(10 + cache * H) * MIB,
            active_file=(5 + active * H) * MIB,
        )
    )

    assert said.verdict is Verdict.SUSPECT
    assert (said.reason, said.growth_class) == (AssessmentReason.CACHE_GROWS, growth_class)
    assert said.growth is not None
    assert said.growth.low_bytes_per_hour <= said.growth.bytes_per_hour <= said.growth.high_bytes_per_hour
    assert said.growth.bytes_per_hour == pytest.approx(5 * MIB, rel=0.2), "of what grows, not of the process"


def test_without_a_limit_nothing_is_more_than_suspect() -> None:
    heap = (80 + 5.5 * H) * MIB
    (said,) = judged(container(100 + 6 * H, limit=0, started_hours_ago=48, heap_floor=heap))

    assert (said.verdict, said.reason) == (Verdict.SUSPECT, AssessmentReason.NO_LIMIT)
    assert said.growth is not None
    assert said.growth.bytes_per_hour == pytest.approx(6 * MIB, rel=0.05)
    assert (said.growth_class, said.crossing) == (GrowthClass.HEAP, None)


def test_what_is_doubted_is_measured_by_what_it_has_grown_for() -> None:
    doubted, unlimited = (container(100 + 4.5 * H[: 24 * 12], started_hours_ago=24.1) for _ in range(2))
    del unlimited[Signal.LIMIT]

    (far,), (nowhere,) = judged(doubted), judged(unlimited)

    assert (far.verdict, nowhere.verdict) == (Verdict.SUSPECT, Verdict.SUSPECT)
    assert dict(far.tests)["timeToThresholdOverGrown"] == pytest.approx(1.37, abs=0.02)
    assert [name for name, _ in nowhere.tests] == ["grownForSeconds", "grownBytes", "crestBytes"]


def test_threshold_in_bytes_needs_no_limit() -> None:
    fleet = matrix([container(100 + 5 * H, limit=0, started_hours_ago=48)])
    rules = DetectionRules(threshold=Threshold(ratio=None, value_bytes=int(370 * MIB)))

    assert assess(fleet, rules, NOW)[0].verdict is Verdict.LEAKING


def test_only_the_working_set_is_no_proof() -> None:
    signals = container(100 + 5 * H, started_hours_ago=48)
    kept = {signal: values for signal, values in signals.items() if not signal.value.startswith("rss")}
    blocks = len(H)
    lone = BlockMatrix(
        keys=matrix([signals]).keys,
        end=END,
        block_seconds=300.0,
        signals={signal: values.reshape(1, blocks).astype(np.float32) for signal, values in kept.items()},
    )

    (said,) = assess(lone, DetectionRules(), NOW)

    assert (said.verdict, said.reason) == (Verdict.SUSPECT, AssessmentReason.ONLY_WORKING_SET)


def test_young_run_says_when_it_can_be_judged() -> None:
    (said,) = judged(container(100 + 5 * H[:12], started_hours_ago=1.0))

    assert (said.verdict, said.reason) == (Verdict.INSUFFICIENT_DATA, AssessmentReason.RUN_TOO_YOUNG)
    assert said.ready_at is not None
    assert timedelta() < said.ready_at - NOW <= timedelta(minutes=40)


def test_silence_is_not_health() -> None:
    signals = container(100 + 0 * H)
    for values in signals.values():
        values[-24:] = np.nan

    (said,) = judged(signals)

    assert (said.verdict, said.reason) == (Verdict.INSUFFICIENT_DATA, AssessmentReason.STALE)


def test_nothing_at_all_is_insufficient() -> None:
    empty = BlockMatrix(keys=matrix([container(H)]).keys, end=END, block_seconds=300.0, signals={})

    assert assess(empty, DetectionRules(), NOW)[0].reason == AssessmentReason.NO_DATA


def test_demo_on_a_short_lookback_is_found_with_time_left() -> None:
    seconds = np.arange(1, 57) * 5.0
    memory = 25 + 65 * seconds / 280
    rules = DetectionRules(lookback=timedelta(minutes=15), minimum_age=timedelta(seconds=30))
    for count in range(14, 57):
        short = _seconds_matrix(memory[:count], 5.0)
        if assess(short, rules, NOW)[0].verdict is Verdict.LEAKING:
            break

    assert 30 <= 280 - seconds[count - 1] <= 200


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(lambda s: 25 + 60 * (1 - np.exp(-s / 40)), id="a warm-up"),
        pytest.param(lambda s: 70 + 0 * s, id="flat and high"),
        pytest.param(lambda s: 30 + 50 * ((s % 60) / 60), id="teeth"),
    ],
)
def test_short_lookback_does_not_make_bounded_memory_leak(memory: object) -> None:
    assert callable(memory)
    seconds = np.arange(1, 181) * 5.0
    rules = DetectionRules(lookback=timedelta(minutes=15), minimum_age=timedelta(seconds=30))
    for count in range(14, 181, 3):
        short = _seconds_matrix(memory(seconds)[:count], 5.0)

        assert assess(short, rules, NOW)[0].verdict is not Verdict.LEAKING, f"after {count * 5} s"


def test_sensitivity_orders_how_early_a_leak_is_told() -> None:
    memory = 100 + 4.5 * H
    told = {}
    for sensitivity in Sensitivity:
        rules = DetectionRules(sensitivity=sensitivity)
        told[sensitivity] = next(
            hours
            for hours in range(10, 49)
            if assess(matrix([container(memory[: hours * 12], started_hours_ago=hours + 0.1)]), rules, NOW)[
                0
            ].verdict
            is Verdict.LEAKING
        )

    assert told[Sensitivity.EAGER] <= told[Sensitivity.BALANCED] <= told[Sensitivity.CONSERVATIVE]
    assert told[Sensitivity.EAGER] < told[Sensitivity.CONSERVATIVE]


def _seconds_matrix(memory: np.ndarray, block_seconds: float) -> BlockMatrix:
    floors = (memory * MIB).astype(np.float32).reshape(1, -1)
    lasted = floors.shape[1] * block_seconds
    return BlockMatrix(
        keys=matrix([container(H)]).keys,
        end=END,
        block_seconds=block_seconds,
        signals={
            Signal.RSS_FLOOR: floors,
            Signal.RSS_TOP: floors,
            Signal.LIMIT: np.full_like(floors, 128 * MIB),
            Signal.START_TIME: np.full_like(floors, -lasted),
        },
    )


@pytest.mark.parametrize(
    ("signals", "reason", "growth_class"),
    [
        pytest.param(
            {"heap_floor": (60 + 3 * H) * MIB},
            AssessmentReason.LIVE_HEAP_GROWS,
            GrowthClass.HEAP,
            id="the live heap under a soft limit",
        ),
        pytest.param(
            {"goroutines_floor": 100 + 60 * H},
            AssessmentReason.GOROUTINES_GROW,
            GrowthClass.GOROUTINE,
            id="goroutines that cost next to nothing yet",
        ),
    ],
)
def test_growth_that_resident_memory_hides_is_suspect(
    signals: dict[str, np.ndarray], reason: AssessmentReason, growth_class: GrowthClass
) -> None:
    (said,) = judged(container(300 + 0 * H, **signals))

    assert (said.verdict, said.reason, said.growth_class) == (Verdict.SUSPECT, reason, growth_class)


@pytest.mark.parametrize("phi", [0.5, 0.9, 0.95])
def test_slope_test_keeps_its_error_rate_on_noise_that_remembers(phi: float) -> None:
    shocks = np.random.default_rng(7).normal(0, np.sqrt(1 - phi**2), (800, 96))
    noise = np.zeros_like(shocks)
    noise[:, 0] = shocks[:, 0] / np.sqrt(1 - phi**2)
    for column in range(1, noise.shape[1]):
        noise[:, column] = phi * noise[:, column - 1] + shocks[:, column]

    rises = slope_interval(1e8 + 1e6 * noise, np.full(len(noise), 900.0), z=2.326).low > 0

    assert rises.mean() <= 0.02


def test_interval_of_the_crossing_is_narrow_where_growth_is_even_and_wide_where_it_is_not() -> None:
    even, wild = judged(
        container(100 + 4.5 * H, started_hours_ago=48.2),
        container(100 + 4.5 * H, started_hours_ago=48.2, noise=6.0),
    )

    assert even.crossing is not None
    assert wild.crossing is not None
    assert even.crossing.latest is not None
    assert wild.crossing.latest is not None
    assert wild.crossing.latest - wild.crossing.earliest > even.crossing.latest - even.crossing.earliest
    assert even.crossing.latest - even.crossing.earliest < 0.4 * (even.crossing.likely - NOW)


@pytest.mark.parametrize("days", [2, 9])
def test_line_that_is_crossed_is_met_now_however_long_the_lookback(days: int) -> None:
    rules = DetectionRules(lookback=timedelta(days=days))
    blocks = matrix([container(100 + 6 * H, started_hours_ago=48.2)])
    seconds = BLOCK * days / 2
    wide = replace(
        blocks,
        block_seconds=seconds,
        signals={
            signal: values if signal is not Signal.START_TIME else values * days / 2
            for signal, values in blocks.signals.items()
        },
    )

    (said,) = assess(wide, rules, NOW)

    assert said.verdict is Verdict.LEAKING
    assert said.crossing is not None
    assert said.crossing.likely == NOW


def test_interval_is_wider_where_the_pace_changed_and_only_what_became_faster_makes_haste() -> None:
    def told(first: float, then: float) -> tuple[timedelta, timedelta]:
        memory = 100 + first * np.minimum(H, 24) + then * np.maximum(H - 24, 0)
        (said,) = judged(container(memory, started_hours_ago=48.2))
        assert said.crossing is not None
        assert said.critical_earliest is not None
        likely = said.crossing.likely - NOW
        return (said.crossing.likely - said.crossing.earliest) / likely, (
            said.critical_earliest - NOW
        ) / likely

    even, slower, faster = told(4.75, 4.75), told(5.5, 4), told(4, 5.5)
    assert even[0] < min(slower[0], faster[0])
    assert slower[0] == pytest.approx(faster[0], rel=0.25)
    assert faster[1] < slower[1]


@pytest.mark.parametrize("hours", [24, 28, 32])
def test_fill_above_a_threshold_in_bytes_without_a_limit_is_no_leak(hours: int) -> None:
    fills = container(100 + 380 * (1 - np.exp(-H[: hours * 12] / 20)), started_hours_ago=hours + 0.1)
    del fills[Signal.LIMIT]
    rules = DetectionRules(threshold=Threshold(ratio=None, value_bytes=int(370 * MIB)))

    (said,) = assess(matrix([fills]), rules, NOW)

    assert said.verdict is not Verdict.LEAKING


@pytest.mark.parametrize(("rests_at", "speaks"), [(400.0, True), (100.0, False)])
def test_older_replica_that_rests_speaks_only_where_it_stands_about_as_high(
    rests_at: float, *, speaks: bool
) -> None:
    hour = 3600.0
    grown = np.r_[np.linspace(100, 400, 10), np.full(4, rests_at)]
    lives = Lives(
        row=np.array([1]),
        group=np.array([0]),
        born=np.array([-56 * hour]),
        begin=np.array([-56 * hour]),
        end=np.array([0.0]),
        finished=np.array([False]),
        floors=grown[None],
        group_of_row=np.array([0, 0]),
    )

    found = levelled_off_before(
        lives,
        np.array([0]),
        np.array([24 * hour]),
        np.array([300.0]),
        np.array([8 / hour]),
        np.array([np.inf]),
    )

    assert found.tolist() == [speaks]
