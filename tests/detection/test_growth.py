"""The shape of growth, block by block."""

import numpy as np
import pytest

from controller.detection.growth import without_lone_dip

LINE = np.arange(24.0) * 10


def changed(**blocks: float) -> np.ndarray:
    values = LINE.copy()
    for block, by in blocks.items():
        values[int(block.removeprefix("block_"))] += by
    return values


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        pytest.param(changed(block_12=-60), [12], id="a collection"),
        pytest.param(changed(block_12=-60, block_18=-80), [18], id="only the deeper of two"),
        pytest.param(changed(block_12=-60, block_13=-60), [], id="given back for longer"),
        pytest.param(changed(block_12=-130), [], id="all of it given back"),
        pytest.param(changed(block_12=60), [], id="a rise"),
        pytest.param(np.where(np.arange(24) < 12, LINE, LINE - 120), [], id="a life that ended"),
        pytest.param(LINE + 20 * (np.arange(24) % 2), [], id="what goes up and down all the time"),
        pytest.param(changed(block_12=-60, block_13=np.nan), [], id="nobody saw it come back"),
        pytest.param(np.full(24, np.nan), [], id="nothing seen"),
    ],
)
def test_a_lone_deep_block_is_left_out(values: np.ndarray, left_out: list[int]) -> None:
    (levelled,) = without_lone_dip(values[None])

    gone = np.isnan(levelled) & ~np.isnan(values)
    assert np.flatnonzero(gone).tolist() == left_out
    assert np.array_equal(levelled[~gone], values[~gone], equal_nan=True)


def test_each_row_stands_for_itself() -> None:
    levelled = without_lone_dip(np.stack([LINE, changed(block_15=-70)]))

    assert np.argwhere(np.isnan(levelled)).tolist() == [[1, 15]]
