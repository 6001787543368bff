"""Memory of one container at a given age, so that before and after can be compared fairly."""

import numpy as np

from controller.metrics.series import BlockMatrix, ContainerKey, Signal


def memory_at_age(matrix: BlockMatrix, key: ContainerKey, age_seconds: float) -> int | None:
    """
    The floor of resident memory of `key`'s newest run when it was `age_seconds` old, in bytes.

    The median of the floors of the three blocks around that age; None where the run's start or that age
    lies outside what was measured. Working set stands in where resident memory is not measured.
    """
    floors = matrix.signals.get(Signal.RSS_FLOOR, matrix.signals.get(Signal.WORKING_SET_FLOOR))
    starts = matrix.signals.get(Signal.START_TIME)
    if floors is None or starts is None or key not in matrix.keys:
        return None
    row = matrix.keys.index(key)
    known = np.flatnonzero(np.isfinite(starts[row]))
    if known.size == 0:
        return None
    started = float(starts[row, known[-1]])
    block_ends = -matrix.block_seconds * np.arange(matrix.blocks - 1, -1, -1)
    ages = block_ends - started
    near = (np.abs(ages - age_seconds) <= 1.5 * matrix.block_seconds) & np.isfinite(floors[row])
    near &= ages >= matrix.block_seconds
    if not near.any():
        return None
    return int(np.median(floors[row, near]))
