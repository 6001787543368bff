"""Recorded answers, good and bad: what is no measurement never becomes one."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.metrics.blocks import block_recordings
from controller.metrics.recording import RecordedSeries, RecordingUnreadable, joined, parse_answer
from controller.metrics.series import ContainerKey, Signal
from controller.policy.memory_policy import RequestRate

BEGIN = 1_772_366_400
OWN = {"namespace": "shop", "pod": "api-1", "container": "app"}


def answer(*series: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


def recorded(name: str, values: dict[float, object], **labels: str) -> dict[str, Any]:
    return {
        "metric": {"__name__": name, **OWN, **labels},
        "values": [[at, value] for at, value in values.items()],
    }


def only(*series: dict[str, Any]) -> RecordedSeries:
    (parsed,) = parse_answer(answer(*series))
    return parsed


def test_samples_come_out_in_order_without_duplicates_the_larger_kept() -> None:
    parsed = only(
        {
            "metric": OWN,
            "values": [[BEGIN + 60, "3"], [BEGIN, "1"], [BEGIN + 60, "5"], [BEGIN + 30, "2"]],
        }
    )

    assert parsed.times.tolist() == [BEGIN, BEGIN + 30, BEGIN + 60]
    assert parsed.values.tolist() == [1, 2, 5]


def test_pieces_of_one_series_are_joined_and_no_others() -> None:
    first = answer(recorded("container_memory_rss", {BEGIN: "1", BEGIN + 60: "2", BEGIN + 120: "x"}))
    second = answer(
        recorded("container_memory_rss", {BEGIN + 120: "3", BEGIN + 60: "5", BEGIN + 30: "4"}),
        recorded("container_memory_rss", {BEGIN: "7"}, id="another"),
    )

    whole, other = joined([*parse_answer(second), *parse_answer(first)])

    assert whole.times.tolist() == [BEGIN, BEGIN + 30, BEGIN + 60, BEGIN + 120]
    assert whole.values.tolist() == [1, 4, 5, 3]
    assert (whole.ignored, other.values.tolist()) == (1, [7])


@pytest.mark.parametrize(
    "value",
    ["NaN", "+Inf", "-Inf", "-1", "1e40", "word", None, [], {}, True and "x", ""],
    ids=lambda value: f"value {value!r}",
)
def test_sample_that_is_no_measurement_is_left_out_and_counted(value: object) -> None:
    parsed = only(recorded("container_memory_rss", {BEGIN: "7", BEGIN + 60: value}))

    assert parsed.values.tolist() == [7]
    assert parsed.ignored == 1


@pytest.mark.parametrize(
    ("document", "says"),
    [
        pytest.param([], "JSON object", id="a list"),
        pytest.param({"status": "error"}, "`status`", id="an error answer"),
        pytest.param({"status": "success"}, "`data`", id="no data"),
        pytest.param({"data": {"resultType": "vector", "result": []}}, "'vector'", id="an instant answer"),
        pytest.param({"data": {"resultType": "matrix", "result": {}}}, "`data.result`", id="no list"),
    ],
)
def test_document_that_is_no_range_answer_is_refused_with_what_was_expected(
    document: object, says: str
) -> None:
    with pytest.raises(RecordingUnreadable, match=says):
        parse_answer(document)


def test_error_that_was_saved_is_told_as_the_source_told_it() -> None:
    saved = {"status": "error", "errorType": "bad_data", "error": "exceeded\n\x1b[2J\u202emax " + "x" * 999}

    with pytest.raises(RecordingUnreadable) as refused:
        parse_answer(saved)

    said = str(refused.value)
    assert said.startswith("`status` must be 'success' (is 'error': bad_data: exceeded [2J max xxx")
    assert said.isprintable()
    assert len(said) < 300


def test_error_that_says_nothing_readable_is_told_by_its_status() -> None:
    saved = {"status": "er\nror\x07", "errorType": ["x"], "error": {}, "data": None}

    with pytest.raises(RecordingUnreadable) as refused:
        parse_answer(saved)

    assert str(refused.value) == "`status` must be 'success' (is 'er ror')"


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(anything, anything, anything)
def test_no_document_crashes_the_reader(metric: object, values: object, point: object) -> None:
    document = answer(
        {"metric": metric, "values": values},  # type: ignore[dict-item]  # wrong on purpose
        {
            "metric": {**OWN, "__name__": "container_memory_rss"},
            "values": [point, [BEGIN, "1"], [point, point]],
        },
    )
    parsed = parse_answer(json.loads(json.dumps(document)))

    assert all(np.isfinite(series.values).all() for series in parsed)
    block_recordings(parsed, 300, 1e6)


def test_blocks_hold_the_smallest_and_the_largest_and_gaps_stay_gaps() -> None:
    samples = {BEGIN + at: str(value) for at, value in ((0, 5), (60, 3), (120, 9), (900, 4))}
    (memory,) = block_recordings(parse_answer(answer(recorded("container_memory_rss", samples))), 300, 1e6)

    assert memory.keys == (ContainerKey("shop", "api-1", "app"),)
    np.testing.assert_array_equal(memory.signals[Signal.RSS_FLOOR][0], [3, np.nan, np.nan, 4])
    np.testing.assert_array_equal(memory.signals[Signal.RSS_TOP][0], [9, np.nan, np.nan, 4])


def test_lingering_series_of_an_old_container_does_not_double_memory() -> None:
    old = recorded("container_memory_rss", {BEGIN: "100", BEGIN + 60: "100"}, id="/old")
    new = recorded("container_memory_rss", {BEGIN + 60: "20", BEGIN + 120: "20"}, id="/new")
    (memory,) = block_recordings(parse_answer(answer(old, new)), 60, 1e6)

    assert memory.signals[Signal.RSS_TOP][0].tolist() == [100, 100, 20]


def test_pause_containers_and_pod_totals_are_no_containers() -> None:
    series = [recorded("container_memory_rss", {BEGIN: "1"}, container=name) for name in ("", "POD")]

    assert block_recordings(parse_answer(answer(*series)), 300, 1e6) == ()


def test_recordings_of_different_months_do_not_share_a_matrix() -> None:
    first = recorded("container_memory_rss", {BEGIN: "1"}, pod="old")
    later = recorded("container_memory_rss", {BEGIN + 90 * 86400: "1"}, pod="new")
    memories = block_recordings(parse_answer(answer(first, later)), 300, 10 * 86400)

    assert [memory.keys[0].pod for memory in memories] == ["old", "new"]
    assert all(memory.signals[Signal.RSS_FLOOR].shape == (1, 1) for memory in memories)


def test_times_in_milliseconds_are_left_out_as_no_times() -> None:
    parsed = only(recorded("container_memory_rss", {BEGIN * 1000.0: "1", BEGIN: "2"}))

    assert parsed.times.tolist() == [BEGIN]


def test_request_rate_adds_the_counters_of_a_pod_and_survives_a_reset() -> None:
    def counter(values: list[int], code: str) -> dict[str, Any]:
        samples = [[BEGIN + 60 * place, str(value)] for place, value in enumerate(values)]
        labels = {"namespace": "shop", "pod": "api-1", "code": code, "__name__": "http_requests_total"}
        return {"metric": labels, "values": samples}

    document = answer(
        recorded("container_memory_rss", {BEGIN + 60 * place: "1" for place in range(4)}),
        counter([0, 600, 0, 600], "200"),
        counter([0, 60, 120, 180], "500"),
    )
    (memory,) = block_recordings(parse_answer(document), 60, 1e6, RequestRate(metric="http_requests_total"))

    assert memory.signals[Signal.REQUEST_RATE][0, [1, 3]].tolist() == [11, 11]


def test_until_shows_nothing_of_the_future_and_moves_start_times() -> None:
    samples = {BEGIN + 300 * place: str(place) for place in range(6)}
    started = {BEGIN + 300 * place: str(BEGIN) for place in range(6)}
    (memory,) = block_recordings(
        parse_answer(
            answer(
                recorded("container_memory_rss", samples),
                recorded("container_start_time_seconds", started),
            )
        ),
        300,
        1e6,
    )

    seen = memory.until(BEGIN + 900, 10, np.array([0]))

    assert seen.signals[Signal.RSS_FLOOR][0].tolist() == [0, 1, 2]
    assert seen.signals[Signal.START_TIME][0].tolist() == [-900, -900, -900]


def test_limit_that_holds_goes_before_the_one_that_is_declared() -> None:
    places = range(3)
    series = [
        recorded("container_memory_rss", {BEGIN + 300 * place: "1" for place in places}),
        recorded(
            "kube_pod_container_resource_limits",
            {BEGIN + 300 * place: "1024" for place in places},
            resource="memory",
        ),
        recorded("container_spec_memory_limit_bytes", {BEGIN: "512", BEGIN + 300: "0"}),
    ]

    for order in (series, series[::-1]):
        (memory,) = block_recordings(parse_answer(answer(*order)), 300, 1e6)

        assert memory.signals[Signal.LIMIT][0].tolist() == [512, 1024, 1024]


def test_what_comes_after_the_recording_is_unmeasured() -> None:
    samples = {BEGIN + 300 * place: str(place) for place in range(3)}
    (memory,) = block_recordings(parse_answer(answer(recorded("container_memory_rss", samples))), 300, 1e6)

    late = memory.until(BEGIN + 1500, 4, np.array([0]))
    gone = memory.until(BEGIN + 9000, 2, np.array([0]))

    assert str(late.signals[Signal.RSS_FLOOR][0].tolist()) == "[1.0, 2.0, nan, nan]"
    assert np.isnan(gone.signals[Signal.RSS_FLOOR]).tolist() == [[True, True]]


def test_widened_blocks_are_whole_wide_blocks() -> None:
    samples = {BEGIN + 300 * place: str(10 + place) for place in range(30)}
    (memory,) = block_recordings(parse_answer(answer(recorded("container_memory_rss", samples))), 300, 1e6)

    wide = memory.widened(12)

    assert wide.begin % 3600 == 0
    assert wide.signals[Signal.RSS_FLOOR][0].tolist() == [10, 22]
    assert wide.signals[Signal.RSS_TOP][0].tolist() == [21, 33]
