"""The memory an incident is about, as the report draws it: the worst replica before, the new ones after."""

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.inventory.workload import Workload
from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal
from controller.reporting.html.report import MemoryHistory, MemoryPoint
from controller.reporting.incident import AssessmentRecord, Incident

MOST_POINTS = 300
"""A plot a few hundred pixels wide shows no more."""

_DIFFERENT_START_SECONDS = 5.0
"""Start times are told to the second and rounded by float32."""

_USED = (Signal.WORKING_SET_TOP, Signal.RSS_TOP, Signal.RSS_FLOOR)
"""What is drawn: the working set, with which the limit is compared; else what is measured."""


def memory_history(
    incident: Incident, workload: Workload | None, memory: BlockMatrix | None
) -> MemoryHistory | None:
    """
    The worst replica until all were new, the fullest of the new ones after; at most `MOST_POINTS` points.

    None where nothing is known of it: no judgement, no metrics, or not of this replica any more.
    """
    assessment = incident.status.assessment
    signal = next((one for one in _USED if memory and one in memory.signals), None)
    if memory is None or signal is None or assessment is None:
        return None
    used, container = memory.signals[signal], assessment.container
    ends = memory.end - memory.block_seconds * np.arange(memory.blocks - 1, -1, -1, dtype=np.float64)
    line = _fullest(memory, used, _keys(incident, [assessment.replica]))
    rolled_out_at = incident.status.rolled_out_at
    if rolled_out_at is not None:
        after = _fullest(memory, used, _keys(incident, _new_replicas(incident, workload)))
        line = np.where(ends > rolled_out_at.timestamp(), after, line)
    points = _thinned(ends, line)
    if len(points) < 2:
        return None
    worst = ContainerKey(incident.spec.workload.namespace, assessment.replica, container)
    return MemoryHistory(
        points=points,
        limit_bytes=assessment.limit_bytes,
        threshold_bytes=assessment.threshold_bytes,
        crosses_at=assessment.crosses_threshold_at,
        crosses_earliest=assessment.crosses_threshold_earliest,
        crosses_latest=assessment.crosses_threshold_latest,
        projected_at=_projected_at(incident, assessment),
        restarts=_restarts(incident, memory, worst, points[0].at),
    )


def _keys(incident: Incident, replicas: list[str]) -> list[ContainerKey]:
    assessment = incident.status.assessment
    container = assessment.container if assessment else ""
    return [ContainerKey(incident.spec.workload.namespace, name, container) for name in replicas]


def _new_replicas(incident: Incident, workload: Workload | None) -> list[str]:
    order = incident.status.order
    if workload is None or order is None:
        return []
    return [
        one.name for one in workload.replicas if one.created_at >= order.issued_at and not one.terminating
    ]


def _fullest(memory: BlockMatrix, used: Matrix, keys: list[ContainerKey]) -> NDArray[np.float64]:
    """The largest of `keys` per block, shape (blocks,); NaN where none was measured."""
    rows = [row for row, key in enumerate(memory.keys) if key in keys]
    nothing = np.full((1, memory.blocks), np.nan)
    return np.asarray(np.fmax.reduce(np.concatenate([nothing, used[rows]])), dtype=np.float64)


def _thinned(ends: NDArray[np.float64], line: NDArray[np.float64]) -> tuple[MemoryPoint, ...]:
    """The measured blocks, each stretch by its largest, so that no peak is lost."""
    measured = np.flatnonzero(np.isfinite(line))
    stretches = np.array_split(measured, min(len(measured), MOST_POINTS)) if len(measured) else []
    chosen = [stretch[np.argmax(line[stretch])] for stretch in stretches]
    return tuple(
        MemoryPoint(at=datetime.fromtimestamp(ends[place], UTC), used_bytes=float(line[place]))
        for place in chosen
    )


def _projected_at(incident: Incident, assessment: AssessmentRecord) -> datetime:
    """The projection starts where the last judgement was made, or where the restart made it void."""
    order = incident.status.order
    return min(assessment.at, order.issued_at) if order else assessment.at


def _restarts(
    incident: Incident, memory: BlockMatrix, worst: ContainerKey, since: datetime
) -> tuple[datetime, ...]:
    """Restarts of the worst replica's container, and ours."""
    order = incident.status.order
    ours = {order.issued_at} if order and incident.status.receipt else set()
    starts = memory.signals.get(Signal.START_TIME)
    if starts is None or worst not in memory.keys:
        return tuple(sorted(ours))
    row = starts[memory.keys.index(worst)]
    known = row[np.isfinite(row)]
    anew = known[1:][np.abs(np.diff(known)) > _DIFFERENT_START_SECONDS]
    its_own = {datetime.fromtimestamp(memory.end + float(start), UTC) for start in anew}
    near = timedelta(minutes=10)
    lone = {at for at in its_own if at > since and not any(abs(at - our) < near for our in ours)}
    return tuple(sorted(ours | lone))
