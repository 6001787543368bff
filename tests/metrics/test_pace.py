"""How soon a series is asked for again: seldom far from danger, each minute near it."""

import numpy as np
import pytest

from controller.metrics.pace import looks
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from tests.fakes import MIB

HOUR = 12
"""Blocks of five minutes."""


def pace_of(levels: list[float], *, limit: float = 512, blocks: int = 576) -> float:
    row = np.full((1, blocks), np.nan, dtype=np.float32)
    row[0, blocks - len(levels) :] = np.array(levels) * MIB
    matrix = BlockMatrix(
        keys=(ContainerKey("shop", "t1", "app"),),
        end=0.0,
        block_seconds=300.0,
        signals={
            Signal.RSS_FLOOR: row,
            Signal.RSS_TOP: row,
            Signal.LIMIT: np.full_like(row, limit * MIB),
        },
    )
    (seconds,) = looks(matrix)
    return float(seconds)


@pytest.mark.parametrize(
    ("levels", "limit", "seconds"),
    [
        pytest.param([100.0] * 48, 512, 900, id="flat and low: every quarter of an hour"),
        pytest.param([320.0] * 48, 512, 60, id="above six tenths of the limit: each minute"),
        pytest.param(list(np.linspace(60, 110, 48)), 512, 900, id="grows, and has days left"),
        pytest.param(list(np.linspace(60, 260, 48)), 512, 171, id="grows, and has an hour left"),
        pytest.param(list(np.linspace(20, 300, 24)), 512, 60, id="grows fast: each minute"),
        pytest.param([100.0] * 5, 512, 60, id="young: nothing is known about it"),
        pytest.param([], 512, 60, id="no data: it is looked for"),
        pytest.param([100.0] * 48, np.nan, 300, id="no limit: every block"),
    ],
)
def test_time_until_the_next_look(levels: list[float], limit: float, seconds: float) -> None:
    assert pace_of(levels, limit=limit) == pytest.approx(seconds, rel=0.05)


def test_short_lookback_is_never_left_to_go_stale() -> None:
    assert pace_of([100.0] * 24, blocks=24) <= 300
