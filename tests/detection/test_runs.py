"""Where a run begins, and where it begins anew."""

import numpy as np
import pytest

from controller.detection.runs import Runs, find_runs
from controller.detection.timeline import join, places
from controller.metrics.series import Signal
from tests.detection.fleet import container, hours_before, matrix

H = hours_before(48)


def _runs(memory: np.ndarray, *, unseen_hours: float) -> Runs:
    recent = matrix([container(memory, started_hours_ago=len(memory) / 12 + unseen_hours)])
    timeline = join(recent, None, places(recent.keys, None), np.array([0]))
    return find_runs(timeline, timeline.signal(Signal.RSS_FLOOR), 600)


def test_when_a_process_began_anew_in_its_container_is_known_to_the_block() -> None:
    runs = _runs(np.where(H < 6, 300, 60), unseen_hours=0.1)

    assert runs.anew / 3600 == pytest.approx([-42], abs=0.1)
    assert runs.fresh_ages == -runs.anew


@pytest.mark.parametrize(
    ("memory", "unseen_hours"),
    [
        pytest.param(np.maximum(300 - 40 * H, 60), 0.1, id="it sank slowly"),
        pytest.param(np.where((H > 6) & (H < 6.1), 10, 300), 0.1, id="one block was measured wrongly"),
        pytest.param(np.where(H < 6, 60 + 40 * H, 60), 0.1, id="it gave back what it had added"),
        pytest.param(np.where(H < 6, 300, 60), 30, id="a collection in a run whose start was not seen"),
        pytest.param(np.where((H > 6) & (H < 6.3), 10, 300), 0.1, id="a dip"),
        pytest.param(np.where(H < 47.5, 300, 60), 0.1, id="whether it stays is not known yet"),
        pytest.param(np.full(3, 60.0), 0.1, id="hardly anything was seen"),
    ],
)
def test_what_fell_and_did_not_begin_anew(memory: np.ndarray, unseen_hours: float) -> None:
    runs = _runs(memory, unseen_hours=unseen_hours)

    assert list(runs.anew) == [-np.inf]
    assert list(runs.fresh_ages) == list(runs.ages)
