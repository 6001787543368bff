"""The ring of blocks: what is folded in stands where its time belongs, at constant cost."""

import numpy as np
import pytest

from controller.metrics.floors import LONG_AGO, SPARE_BLOCKS, FloorRing
from controller.metrics.series import ContainerKey, Signal

WIDTH = 300
NOW = 1_772_366_400


def answer(
    values: dict[int, object], *, pod: str = "api-1", container: str = "app"
) -> list[dict[str, object]]:
    labels = {"namespace": "shop", "pod": pod, "container": container}
    return [{"metric": labels, "values": [[at, value] for at, value in values.items()]}]


def ring(blocks: int = 6) -> FloorRing:
    made = FloorRing(blocks=blocks, block_seconds=WIDTH)
    made.advance(NOW)
    return made


def test_points_stand_in_the_block_that_ends_at_their_time() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "10", NOW - 2 * WIDTH: "8"}))

    row = held.matrix().signals[Signal.RSS_FLOOR][0]

    assert row[-1] == 10
    assert row[-3] == 8
    assert np.isnan(row[[0, 1, 2, 4]]).all()


def test_time_moves_on_and_old_blocks_leave() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW - 5 * WIDTH: "5", NOW: "10"}))
    held.advance(NOW + 2 * WIDTH)

    row = held.matrix().signals[Signal.RSS_FLOOR][0]

    assert row[-3] == 10
    assert np.isnan(np.delete(row, -3)).all()


def test_hundreds_of_steps_keep_the_memory_of_the_ring_constant() -> None:
    held = ring()
    for step in range(3 * SPARE_BLOCKS):
        held.advance(NOW + step * WIDTH)
        held.fold(Signal.RSS_FLOOR, answer({NOW + step * WIDTH: str(step)}))

    matrix = held.matrix().signals[Signal.RSS_FLOOR]

    assert matrix[0].tolist() == [3 * SPARE_BLOCKS - 6 + place for place in range(6)]
    assert matrix.base is not None
    assert matrix.base.shape[1] == 6 + SPARE_BLOCKS


def test_a_jump_longer_than_the_ring_empties_it() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "10"}))
    held.advance(NOW + 1000 * WIDTH)

    assert np.isnan(held.matrix().signals[Signal.RSS_FLOOR]).all()


def test_matrix_handed_out_is_not_changed_by_a_compaction() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "10"}))
    before = held.matrix().signals[Signal.RSS_FLOOR]
    held.advance(NOW + (SPARE_BLOCKS + 3) * WIDTH)
    held.fold(Signal.RSS_FLOOR, answer({NOW + (SPARE_BLOCKS + 3) * WIDTH: "99"}))

    assert before[0, -1] == 10


def test_start_times_are_told_relative_to_the_end_and_move_with_it() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}))
    held.fold(Signal.START_TIME, answer({NOW: str(NOW - 7200)}))
    held.advance(NOW + WIDTH)
    held.fold(Signal.START_TIME, answer({NOW + WIDTH: str(NOW - 7200)}))

    row = held.matrix().signals[Signal.START_TIME][0]

    assert row[-2] == row[-1] == -7200 - WIDTH


def test_start_of_years_ago_stays_one_start_while_time_moves() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}))
    for step in range(20):
        at = NOW + step * WIDTH
        held.advance(at)
        held.fold(Signal.START_TIME, answer({at: str(NOW - 4 * 365 * 86400)}))

    assert set(held.matrix().signals[Signal.START_TIME][0].tolist()) == {LONG_AGO}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("NaN", id="not a number"),
        pytest.param("+Inf", id="infinite"),
        pytest.param("-5", id="negative"),
        pytest.param("1e300", id="impossibly large"),
    ],
)
def test_what_is_no_amount_of_memory_is_left_out(value: str) -> None:
    held = ring()

    assert held.fold(Signal.RSS_FLOOR, answer({NOW: value})) == 0
    assert np.isnan(held.matrix().signals[Signal.RSS_FLOOR]).all()


def test_vanished_containers_are_forgotten_and_the_others_keep_their_rows() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}, pod="gone"))
    for step in range(1, 8):
        held.advance(NOW + step * WIDTH)
        held.fold(Signal.RSS_FLOOR, answer({NOW + step * WIDTH: str(step)}, pod="stays"))

    assert held.forget_vanished() == 1
    matrix = held.matrix()
    assert matrix.keys == (ContainerKey("shop", "stays", "app"),)
    assert matrix.signals[Signal.RSS_FLOOR][0].tolist() == [2, 3, 4, 5, 6, 7]


def test_process_metrics_without_a_container_belong_to_the_only_one() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}))
    held.fold(Signal.GOROUTINES_FLOOR, answer({NOW: "40"}, container=""))

    assert held.matrix().signals[Signal.GOROUTINES_FLOOR][0, -1] == 40


def test_process_metrics_without_a_container_are_nobodys_where_there_are_two() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}) + answer({NOW: "1"}, container="sidecar"))

    assert held.fold(Signal.GOROUTINES_FLOOR, answer({NOW: "40"}, container="")) == 0


def test_limit_alone_makes_no_container_known() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}))
    held.fold(Signal.LIMIT, answer({NOW: "9"}, container="init-db") + answer({NOW: "9"}))
    held.fold(Signal.RESTARTS, answer({NOW: "0"}, pod="report-29450123-abcde"))
    held.fold(Signal.GOROUTINES_FLOOR, answer({NOW: "40"}, container=""))

    matrix = held.matrix()

    assert matrix.keys == (ContainerKey("shop", "api-1", "app"),)
    assert matrix.signals[Signal.LIMIT][0, -1] == 9
    assert matrix.signals[Signal.GOROUTINES_FLOOR][0, -1] == 40


def test_container_that_is_only_declared_any_longer_is_forgotten() -> None:
    held = ring()
    held.fold(Signal.RSS_FLOOR, answer({NOW: "1"}))
    for step in range(8):
        held.advance(NOW + step * WIDTH)
        held.fold(Signal.LIMIT, answer({NOW + step * WIDTH: "9"}))

    assert held.forget_vanished() == 1
    assert held.matrix().keys == ()


def test_newest_tells_the_freshest_measured_block() -> None:
    held = ring()
    assert held.newest([Signal.RSS_FLOOR]) is None
    held.fold(Signal.RSS_FLOOR, answer({NOW - WIDTH: "1"}))

    assert held.newest([Signal.RSS_FLOOR, Signal.WORKING_SET_TOP]) == NOW - WIDTH
