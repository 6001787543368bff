from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.reporting.html.memory_plot import LEFT, NARROW_WIDTH, RIGHT, draw_memory
from controller.reporting.html.memory_plot import WIDTH as WIDE
from controller.reporting.html.report import MemoryHistory, MemoryPoint
from controller.reporting.incident import Incident
from controller.reporting.memory_history import MOST_POINTS, memory_history
from tests.fakes import MIB, NOW, a_replica, a_workload
from tests.reporting.test_incident_document import a_closed_incident, an_incident

BLOCKS, WIDTH = 600, 60.0
OLD = np.linspace(100 * MIB, 350 * MIB, BLOCKS)


def a_matrix(rows: dict[str, np.ndarray], starts: dict[str, np.ndarray] | None = None) -> BlockMatrix:
    keys = tuple(ContainerKey("shop", pod, "app") for pod in rows)
    signals = {Signal.WORKING_SET_TOP: np.array(list(rows.values()), dtype=np.float32)}
    if starts:
        signals[Signal.START_TIME] = np.array([starts[key.pod] for key in keys], dtype=np.float32)
    return BlockMatrix(keys=keys, end=NOW.timestamp(), block_seconds=WIDTH, signals=signals)


def restarted_an_hour_ago() -> Incident:
    closed = a_closed_incident()
    at = NOW - timedelta(hours=1)
    assert closed.status.order is not None
    order = replace(closed.status.order, issued_at=at)
    return replace(closed, status=replace(closed.status, order=order, rolled_out_at=at))


def test_open_incident_is_the_worst_replicas_line() -> None:
    history = memory_history(an_incident(), a_workload(), a_matrix({"api-1": OLD, "api-2": OLD * 2}))

    assert history is not None
    assert len(history.points) == MOST_POINTS
    assert history.points[-1].at == NOW
    assert history.points[-1].used_bytes == pytest.approx(350 * MIB)
    assert history.threshold_bytes == 358 * MIB
    assert history.restarts == ()


def test_thinning_keeps_the_peak() -> None:
    spiked = OLD.copy()
    spiked[301] = 500 * MIB

    history = memory_history(an_incident(), a_workload(), a_matrix({"api-1": spiked}))

    assert history is not None
    assert max(point.used_bytes for point in history.points) == 500 * MIB


def test_after_the_restart_the_fullest_new_replica_goes_on() -> None:
    new = np.full(BLOCKS, np.nan)
    new[-60:] = 60 * MIB
    old = OLD.copy()
    old[-60:] = np.nan
    created_at = NOW - timedelta(minutes=59)
    workload = a_workload(
        replicas=(a_replica("new-1", created_at=created_at), a_replica("new-2", created_at=created_at))
    )
    matrix = a_matrix({"api-1": old, "new-1": new, "new-2": new + 5 * MIB})

    history = memory_history(restarted_an_hour_ago(), workload, matrix)

    assert history is not None
    assert history.restarts == (NOW - timedelta(hours=1),)
    after = [point.used_bytes for point in history.points if point.at > history.restarts[0]]
    assert after
    assert set(after) == {65 * MIB}


def test_projection_of_a_run_that_was_ended_is_drawn_from_its_end() -> None:
    line = OLD.copy()
    line[-60:] = 60 * MIB
    replicas = (a_replica("api-1", created_at=NOW),)

    history = memory_history(
        restarted_an_hour_ago(), a_workload(replicas=replicas), a_matrix({"api-1": line})
    )

    assert history is not None
    plot = draw_memory(history)
    assert plot is not None
    start, _, _ = plot.projection.removeprefix("M").partition(" L")
    assert f"L{start}" in plot.path
    assert float(start.split()[0]) < plot.restarts_x[0] + 1
    assert "projected to be reached" in plot.description


def test_containers_own_restart_is_marked() -> None:
    starts = np.where(np.arange(BLOCKS) < 300, -(BLOCKS * WIDTH), -(300 * WIDTH))

    history = memory_history(an_incident(), a_workload(), a_matrix({"api-1": OLD}, {"api-1": starts}))

    assert history is not None
    assert history.restarts == (NOW - timedelta(seconds=300 * WIDTH),)


@pytest.mark.parametrize(
    "matrix",
    [None, a_matrix({"other": OLD}), a_matrix({"api-1": np.full(BLOCKS, np.nan)})],
    ids=["no metrics", "another replica", "nothing measured"],
)
def test_without_memory_there_is_no_plot(matrix: BlockMatrix | None) -> None:
    assert memory_history(an_incident(), a_workload(), matrix) is None


@pytest.mark.parametrize("minutes", [0.5, 4.7, 63, 1500, 40000])
@pytest.mark.parametrize("width", [WIDE, NARROW_WIDTH])
def test_times_at_the_axis_stand_where_they_say(minutes: float, width: float) -> None:
    end = NOW + timedelta(minutes=minutes)
    points = (MemoryPoint(at=NOW, used_bytes=MIB), MemoryPoint(at=end, used_bytes=2 * MIB))
    plot = draw_memory(MemoryHistory(points=points, threshold_bytes=None, limit_bytes=None), width)
    assert plot is not None
    assert 1 <= len(plot.time_ticks) <= (6 if width == WIDE else 4)
    for tick in plot.time_ticks:
        share = (tick.place - LEFT) / (width - LEFT - RIGHT)
        at = NOW + timedelta(minutes=minutes * share)
        pixel = timedelta(minutes=minutes) / (width - LEFT - RIGHT)
        around = {at + pixel * steps / 200 for steps in range(-200, 201)}
        forms = ("%d %b %H:%M", "%H:%M", "%H:%M:%S")
        assert tick.text in {f"{one:{form}}" for one in around for form in forms}
        assert tick.text[-2:] in ("00", "15", "30", "45") or minutes < 60
