"""
From blocks of memory to one assessment per container: the detector's flow, readable on one screen.

Pure and stateless: asked twice about the same blocks it says the same, so a controller that restarts
forgets nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from controller.detection.assessment import Assessment
from controller.detection.candidates import Candidates, gather
from controller.detection.episodes import judge_episodes
from controller.detection.sensitivity import caution_for
from controller.detection.statement import state
from controller.detection.timeline import join, places
from controller.metrics.series import BlockMatrix
from controller.policy.memory_policy import DetectionRules

ROWS_AT_ONCE = 512
"""Containers that are judged together: bounds the memory of a sweep, whatever its size."""


def assess(
    matrix: BlockMatrix,
    rules: DetectionRules,
    now: datetime,
    *,
    history: BlockMatrix | None = None,
    peer_groups: Sequence[str | None] = (),
) -> tuple[Assessment, ...]:
    """
    One assessment per key of `matrix`, in its order, as of `now` (aware UTC).

    `history` holds wider blocks of a longer time, of which only what lies before `matrix` is used.
    `peer_groups` names, per key, the containers made from the same image and template; empty where
    nobody knows.
    """
    caution = caution_for(rules, matrix.block_seconds)
    history_rows = places(matrix.keys, history)
    lag = now.timestamp() - matrix.end
    assessments: list[Assessment] = []
    for first in range(0, len(matrix.keys), ROWS_AT_ONCE):
        rows = slice(first, min(first + ROWS_AT_ONCE, len(matrix.keys)))
        timeline = join(matrix, history, history_rows, rows)
        candidates: Candidates = gather(timeline, rules, caution, lag)
        findings = judge_episodes(candidates, caution)
        assessments.extend(state(candidates, findings, caution, now))
    return tuple(assessments)
