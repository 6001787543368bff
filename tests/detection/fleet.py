"""Builders of block matrices: one call per container, in hours and MiB."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from controller.detection.assess import assess
from controller.detection.assessment import Assessment
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.policy.memory_policy import DetectionRules

END = 1_772_452_800.0
NOW = datetime.fromtimestamp(END, UTC)
MIB = 2.0**20
BLOCK = 300.0
LIMIT = 512.0

Shape = Callable[[np.ndarray], np.ndarray]


def hours_before(span_hours: float) -> np.ndarray:
    """Hours since the beginning of the record at the end of each block, shape (blocks,)."""
    return (np.arange(round(span_hours * 3600 / BLOCK)) + 1) * BLOCK / 3600


def container(
    memory: np.ndarray,
    *,
    limit: float = LIMIT,
    started_hours_ago: float | None = None,
    noise: float = 0.4,
    seed: int = 0,
    **more: np.ndarray,
) -> dict[Signal, np.ndarray]:
    """
    The signals of one container whose resident memory is `memory` (blocks,) in MiB.

    `more` holds further signals by the lower-case name of the enum's member.
    """
    rng = np.random.default_rng(seed)
    floors = (memory + rng.normal(0, noise, len(memory))) * MIB
    ago = len(memory) * BLOCK / 3600 + 0.5 if started_hours_ago is None else started_hours_ago
    signals = {
        Signal.RSS_FLOOR: floors,
        Signal.RSS_TOP: floors + MIB,
        Signal.WORKING_SET_FLOOR: floors + 2 * MIB,
        Signal.WORKING_SET_TOP: floors + 3 * MIB,
        Signal.LIMIT: np.full(len(memory), float(limit) * MIB),
        Signal.START_TIME: np.full(len(memory), -3600.0 * ago),
    }
    signals.update({Signal[name.upper()]: np.asarray(values, dtype=float) for name, values in more.items()})
    return signals


def past_life(begin: float, end: float, shape: Shape, *, seed: int = 0) -> dict[Signal, np.ndarray]:
    """One that lived from hour `begin` to hour `end` of 48, its memory told by its age in hours."""
    hours = hours_before(48)
    lived = (hours > begin) & (hours <= end)
    signals = container(shape(hours - begin), started_hours_ago=48 - begin, seed=seed)
    return {signal: np.where(lived, values, np.nan) for signal, values in signals.items()}


def matrix(containers: Sequence[dict[Signal, np.ndarray]], *, pods: Sequence[str] = ()) -> BlockMatrix:
    """All containers in one matrix, aligned at their ends."""
    blocks = max(len(one[Signal.RSS_FLOOR]) for one in containers)
    used = {signal for one in containers for signal in one}
    signals = {signal: np.full((len(containers), blocks), np.nan, dtype=np.float32) for signal in used}
    for row, one in enumerate(containers):
        for signal, values in one.items():
            signals[signal][row, blocks - len(values) :] = values
    names = pods or [f"api-{row}" for row in range(len(containers))]
    return BlockMatrix(
        keys=tuple(ContainerKey("shop", name, "app") for name in names),
        end=END,
        block_seconds=BLOCK,
        signals=signals,
    )


def judged(*containers: dict[Signal, np.ndarray], **options: object) -> tuple[Assessment, ...]:
    """Assesses containers as one fleet, with default rules."""
    return assess(matrix(containers), DetectionRules(), NOW, **options)


def hourly(memory: np.ndarray, *, started_hours_ago: float) -> BlockMatrix:
    """The same container as history tells it, in blocks of an hour; whole hours only."""
    floors = memory[len(memory) % 12 :].reshape(-1, 12).min(axis=1)
    return replace(matrix([container(floors, started_hours_ago=started_hours_ago)]), block_seconds=3600.0)


def judged_after(hours: float, memory: np.ndarray) -> Assessment:
    """One container as the controller sees it so long after its start, with its history before two days."""
    lived, started = memory[: round(hours * 12)], hours + 0.1
    recent = matrix([container(lived[-576:], started_hours_ago=started)])
    return assess(recent, DetectionRules(), NOW, history=hourly(lived, started_hours_ago=started))[0]
