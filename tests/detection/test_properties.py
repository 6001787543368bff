"""What must hold for every series, not only for those somebody thought of."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.detection.assess import assess
from controller.detection.assessment import Assessment, Verdict
from controller.detection.trend import slope_interval
from controller.metrics.series import BlockMatrix, Signal
from controller.policy.memory_policy import DetectionRules
from tests.detection.fleet import LIMIT, MIB, NOW, container, hours_before, judged, matrix

H = hours_before(48)
IN_BYTES = {Signal.RSS_FLOOR, Signal.RSS_TOP, Signal.WORKING_SET_FLOOR, Signal.WORKING_SET_TOP, Signal.LIMIT}

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def memories(draw: st.DrawFn) -> np.ndarray:
    """Any sum of a base, a trend that may stop, a rhythm, teeth and a step, in MiB; shape (576,)."""
    base = draw(st.floats(40, 250))
    rate, stops = draw(st.floats(-3, 9)), draw(st.floats(5, 60))
    rhythm, teeth = draw(st.floats(0, 60)), draw(st.floats(0, 80))
    period, phase = draw(st.floats(0.5, 14)), draw(st.floats(0, 24))
    step, at = draw(st.floats(-50, 80)), draw(st.floats(0, 48))
    memory = base + rate * np.minimum(H, stops) + rhythm * np.sin(2 * np.pi * (H - phase) / 24)
    memory += teeth * ((H % period) / period) + step * (at < H)
    return np.clip(memory, 5, 0.98 * LIMIT)


@st.composite
def bounded_memories(draw: st.DrawFn) -> np.ndarray:
    """What cannot be a leak: flat, a rhythm, teeth, with noise; in MiB, shape (576,)."""
    base, rhythm, teeth = draw(st.floats(40, 280)), draw(st.floats(0, 80)), draw(st.floats(0, 100))
    period, phase = draw(st.floats(0.5, 6)), draw(st.floats(0, 24))
    memory = base + rhythm * np.sin(2 * np.pi * (H - phase) / 24) + teeth * ((H % period) / period)
    return np.clip(memory, 5, 0.98 * LIMIT)


@quick
@given(memories(), st.integers(-(10**6), 10**6))
def test_shift_in_time_changes_no_verdict(memory: np.ndarray, seconds: int) -> None:
    fleet = matrix([container(memory)])
    shifted = replace(fleet, end=fleet.end + seconds)

    (here,) = assess(fleet, DetectionRules(), NOW)
    (there,) = assess(shifted, DetectionRules(), NOW + timedelta(seconds=seconds))

    assert (here.verdict, here.reason, here.growth) == (there.verdict, there.reason, there.growth)
    if here.crossing is not None and there.crossing is not None:
        assert there.crossing.likely - here.crossing.likely == timedelta(seconds=seconds)


@quick
@given(memories(), st.integers(-6, 6))
def test_scaling_all_bytes_changes_no_verdict(memory: np.ndarray, power: int) -> None:
    fleet = matrix([container(memory)])
    scaled = replace(
        fleet,
        signals={
            signal: values * np.float32(2.0**power) if signal in IN_BYTES else values
            for signal, values in fleet.signals.items()
        },
    )

    assert _said(fleet) == _said(scaled)


@quick
@given(memories())
def test_duplicated_series_are_judged_alike(memory: np.ndarray) -> None:
    one = container(memory)
    alone, (first, second) = judged(one)[0], judged(one, one)

    assert alone.verdict == first.verdict == second.verdict
    assert first.growth == second.growth


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.35))
def test_dropped_samples_hide_no_clear_leak(seed: int, share: float) -> None:
    signals = container(100 + 4.8 * H, started_hours_ago=48)
    lost = np.random.default_rng(seed).random(len(H)) < share
    lost[-3:] = False
    for values in signals.values():
        values[lost] = np.nan

    assert judged(signals)[0].verdict is Verdict.LEAKING


@quick
@given(bounded_memories(), st.integers(0, 2**32 - 1))
def test_bounded_memory_is_never_leaking_and_losing_samples_makes_it_no_leak(
    memory: np.ndarray, seed: int
) -> None:
    whole, holed = container(memory, started_hours_ago=400), container(memory, started_hours_ago=400)
    lost = np.random.default_rng(seed).random(len(H)) < 0.4
    for values in holed.values():
        values[lost] = np.nan

    assert all(said.verdict is not Verdict.LEAKING for said in judged(whole, holed))


@quick
@given(st.floats(0.5, 4), st.floats(5, 60))
def test_added_collection_teeth_hide_no_clear_leak(period: float, height: float) -> None:
    teeth = height * ((H % period) / period)

    said = judged(container(90 + 4.6 * H + teeth, started_hours_ago=48))[0]

    assert said.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
    assert said.growth is not None
    assert said.growth.bytes_per_hour > 3 * MIB


@quick
@given(st.floats(1, 6))
def test_reversed_leak_is_no_leak(rate: float) -> None:
    memory = np.clip(90 + rate * H, 5, 0.98 * LIMIT)

    assert judged(container(memory[::-1].copy()))[0].verdict is Verdict.HEALTHY


@quick
@given(st.integers(4, 9), st.floats(0.4, 2.0))
def test_concatenated_restarts_of_a_leak_are_a_leak(lives: int, relative_gain: float) -> None:
    length = 46 / (lives + 0.9)
    life = H % length
    starts = np.minimum((H - life - 48) * 3600, 0)
    memory = np.minimum(100 * (1 + relative_gain * life / length), 0.98 * LIMIT)

    said = judged(container(memory, start_time=starts))[0]

    assert said.verdict is Verdict.LEAKING


@quick
@given(memories(), memories(), memories())
def test_verdict_of_one_container_does_not_depend_on_strangers(
    first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> None:
    alone = judged(container(second))[0]
    among = judged(container(first), container(second), container(third))[1]

    assert (alone.verdict, alone.reason, alone.growth) == (among.verdict, among.reason, among.growth)


@quick
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=True, allow_infinity=True, width=32),
            st.just(0.0),
            st.floats(0, 1e9, width=32),
        ),
        min_size=1,
        max_size=80,
    )
)
def test_any_numbers_are_survived(values: list[float]) -> None:
    floors = np.array(values, dtype=np.float32).reshape(1, -1)
    fleet = BlockMatrix(
        keys=matrix([container(H)]).keys,
        end=NOW.timestamp(),
        block_seconds=300.0,
        signals=dict.fromkeys(Signal, floors),
    )

    (said,) = assess(fleet, DetectionRules(), NOW)

    assert said.verdict is not Verdict.LEAKING


@quick
@given(st.floats(-5, 5), st.floats(-1e6, 1e6), st.integers(5, 60))
def test_slope_of_a_line_is_the_line(slope: float, base: float, count: int) -> None:
    values = (base + slope * np.arange(count))[None, :]

    found = slope_interval(values, np.ones(1))

    assert np.allclose([found.low[0], found.likely[0], found.high[0]], slope, atol=1e-6 * max(1, abs(base)))


def test_slope_interval_excludes_zero_at_its_nominal_rate_under_autocorrelation() -> None:
    rng = np.random.default_rng(11)
    for phi, allowed in ((0.0, 0.02), (0.5, 0.03), (0.8, 0.03), (0.95, 0.04)):
        noise = rng.normal(size=(1500, 400))
        series = np.zeros_like(noise)
        for step in range(1, noise.shape[1]):
            series[:, step] = phi * series[:, step - 1] + noise[:, step]

        found = slope_interval(series[:, -96:], np.ones(1500))

        assert np.mean(found.low > 0) <= allowed, f"phi {phi}"


def _said(fleet: BlockMatrix) -> tuple[object, ...]:
    said: Assessment = assess(fleet, DetectionRules(), NOW)[0]
    return said.verdict, said.reason
