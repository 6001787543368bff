import numpy as np

from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.verification.equal_age import compare_at_equal_age, memory_at_age

OLD, NEW = ContainerKey("shop", "old", "app"), ContainerKey("shop", "new", "app")
BLOCKS, WIDTH = 100, 60.0
END = 1e9
RESTARTED = END - 12 * WIDTH


def a_matrix() -> BlockMatrix:
    """`old` started 80 blocks ago and grows by 1000 a block; `new` 10 blocks ago, flat at 5000."""
    floors = np.full((2, BLOCKS), np.nan, dtype=np.float32)
    starts = np.full((2, BLOCKS), np.nan, dtype=np.float32)
    floors[0, 20:] = 1000 * np.arange(80)
    starts[0, 20:] = -80 * WIDTH
    floors[1, 90:] = 5000
    starts[1, 90:] = -10 * WIDTH
    return BlockMatrix(
        keys=(OLD, NEW),
        end=END,
        block_seconds=WIDTH,
        signals={Signal.RSS_FLOOR: floors, Signal.START_TIME: starts},
    )


def test_memory_at_an_age_is_that_of_the_blocks_around_it() -> None:
    assert memory_at_age(a_matrix(), OLD, 30 * WIDTH) == 29_000


def test_memory_at_an_age_nobody_measured_is_unknown() -> None:
    assert memory_at_age(a_matrix(), NEW, 30 * WIDTH) is None
    assert memory_at_age(a_matrix(), ContainerKey("shop", "gone", "app"), 60.0) is None


def test_both_are_compared_at_the_age_of_the_new_one() -> None:
    pair = compare_at_equal_age(
        a_matrix(), before=OLD, after=[NEW], young_floor_bytes=None, started_since=RESTARTED
    )

    assert pair == (9_000, 5_000)


def test_young_floor_stands_in_for_what_was_not_measured() -> None:
    gone = ContainerKey("shop", "gone", "app")

    pair = compare_at_equal_age(
        a_matrix(), before=gone, after=[NEW], young_floor_bytes=4_000, started_since=RESTARTED
    )

    assert pair == (4_000, 5_000)
    assert (
        compare_at_equal_age(
            a_matrix(), before=gone, after=[NEW], young_floor_bytes=None, started_since=RESTARTED
        )
        is None
    )


def test_replica_that_bears_the_old_name_is_compared_with_the_run_before() -> None:
    matrix = a_matrix()
    floors, starts = matrix.signals[Signal.RSS_FLOOR], matrix.signals[Signal.START_TIME]
    floors[0, 90:], starts[0, 90:] = 5000, -10 * WIDTH

    pair = compare_at_equal_age(
        matrix, before=OLD, after=[OLD], young_floor_bytes=None, started_since=RESTARTED
    )

    assert pair == (9_000, 5_000)


def test_run_that_is_still_the_old_one_is_not_taken_for_the_new_replicas() -> None:
    """A StatefulSet's new replica bears the old name, and was not measured yet: that is the old one's."""
    matrix = a_matrix()

    pair = compare_at_equal_age(
        matrix, before=OLD, after=[OLD], young_floor_bytes=4_000, started_since=RESTARTED
    )

    assert pair is None
