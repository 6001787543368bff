"""Memory of one container at a given age, so that before and after can be compared fairly."""

from collections.abc import Sequence

import numpy as np

from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Seconds, Signal

SAME_START_SECONDS = 1.0
"""Starts that differ by less are one: they are kept relative to the matrix' end, as float32."""


def memory_at_age(
    matrix: BlockMatrix, key: ContainerKey, age_seconds: float, *, runs_back: int = 0
) -> int | None:
    """
    The floor of resident memory of a run of `key` when it was `age_seconds` old, in bytes.

    The newest run, or the one `runs_back` before it. The median of the floors of the three blocks around
    that age; None where the run's start or that age lies outside what was measured. Working set stands in
    where resident memory is not measured.
    """
    run = _run(matrix, key, runs_back)
    if run is None:
        return None
    floors, ages = run
    near = (np.abs(ages - age_seconds) <= 1.5 * matrix.block_seconds) & np.isfinite(floors)
    near &= ages >= matrix.block_seconds
    return int(np.median(floors[near])) if near.any() else None


def _run(matrix: BlockMatrix, key: ContainerKey, runs_back: int = 0) -> tuple[Matrix, Seconds] | None:
    """Floors of `key` in bytes and the age of one of its runs in seconds, both of shape (blocks,)."""
    floors = matrix.signals.get(Signal.RSS_FLOOR, matrix.signals.get(Signal.WORKING_SET_FLOOR))
    starts = matrix.signals.get(Signal.START_TIME)
    if floors is None or starts is None or key not in matrix.keys:
        return None
    row = matrix.keys.index(key)
    known = starts[row, np.isfinite(starts[row])]
    first = np.flatnonzero(np.diff(known, prepend=-np.inf) >= SAME_START_SECONDS)
    if first.size <= runs_back:
        return None
    block_ends = -matrix.block_seconds * np.arange(matrix.blocks - 1, -1, -1, dtype=np.float64)
    return floors[row], block_ends - float(known[first[-1 - runs_back]])


def compare_at_equal_age(
    matrix: BlockMatrix,
    *,
    before: ContainerKey,
    after: Sequence[ContainerKey],
    young_floor_bytes: int | None,
    started_since: float,
) -> tuple[int, int] | None:
    """
    Memory of `before` and of the fullest of `after`, in bytes, both at the age that one has now.

    Where `before` was not measured at that age its young floor stands in. None where either is unknown.
    A StatefulSet's new replica bears the name of the one it replaces: that is then the run before. A run is
    new if it began at `started_since` (Unix seconds) or later: until the new one is measured, the newest that
    is known is the old one.
    """
    newest = [pair for key in after if (pair := _newest(matrix, key, started_since)) is not None]
    if not newest:
        return None
    memory, age_seconds = max(newest)
    was = memory_at_age(matrix, before, age_seconds, runs_back=int(before in after)) or young_floor_bytes
    return (was, memory) if was else None


def _newest(matrix: BlockMatrix, key: ContainerKey, started_since: float) -> tuple[int, float] | None:
    """Newest floor of `key` in bytes, and how old it was then in seconds."""
    run = _run(matrix, key)
    if run is None:
        return None
    floors, ages = run
    if matrix.end - ages[-1] < started_since:
        return None
    measured = np.flatnonzero(np.isfinite(floors) & (ages >= matrix.block_seconds))
    if measured.size == 0:
        return None
    last = measured[-1]
    return int(floors[last]), float(ages[last])
