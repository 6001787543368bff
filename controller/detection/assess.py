"""
From blocks of memory to one assessment per container: the detector's flow, readable on one screen.

Pure and stateless: asked twice about the same blocks it says the same, so a controller that restarts
forgets nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from controller.detection.assessment import Assessment
from controller.detection.beside import judge_beside
from controller.detection.candidates import gather
from controller.detection.episodes import judge_episodes
from controller.detection.findings import Findings
from controller.detection.hidden import judge_hidden
from controller.detection.recurrence import judge_lives
from controller.detection.season import judge_days, judge_second_day
from controller.detection.sensitivity import caution_for
from controller.detection.statement import state
from controller.detection.timeline import Floats, Indices, join, places
from controller.metrics.series import BlockMatrix, Signal
from controller.policy.memory_policy import DetectionRules

ROWS_AT_ONCE = 512
"""Containers that are judged together: bounds the memory of a sweep, whatever its size."""

MOST_GONE = 64
"""So many of a group that are gone speak for it: half of them the newest, half those that lived longest."""


def assess(
    matrix: BlockMatrix,
    rules: DetectionRules,
    now: datetime,
    *,
    history: BlockMatrix | None = None,
    peer_groups: Sequence[str | None] = (),
    moments: Sequence[datetime] = (),
) -> tuple[Assessment, ...]:
    """
    One assessment per key of `matrix`, in its order, as of `now` (aware UTC).

    `history` holds wider blocks of a longer time, of which only what lies before `matrix` is used.
    `peer_groups` names, per key, the containers made from the same image and template; empty where
    nobody knows. A replay looks at many moments at once: then each row stands for one look, every row's
    blocks end equally long before its own of `moments`, and `now` is that of the matrix's end.
    """
    caution = caution_for(rules, matrix.block_seconds)
    history_rows = places(matrix.keys, history)
    lag = now.timestamp() - matrix.end
    groups = _few_gone(matrix, peer_groups or (None,) * len(matrix.keys), caution.stale_after - lag)
    assessments: dict[int, Assessment] = {}
    for rows in _batches(groups):
        timeline = join(matrix, history, history_rows, rows)
        candidates = gather(timeline, [groups[row] for row in rows], rules, caution, lag)
        findings = Findings.nothing(len(rows))
        judge_episodes(candidates, caution, findings)
        judge_days(candidates, caution, findings)
        judge_second_day(candidates, caution, findings)
        judge_lives(candidates, findings)
        judge_beside(candidates, caution, findings)
        judge_hidden(candidates, caution, findings)
        at = [moments[row] if moments else now for row in rows]
        assessments.update(zip(rows.tolist(), state(candidates, findings, caution, at), strict=True))
    return tuple(assessments[row] for row in range(len(matrix.keys)))


def _few_gone(matrix: BlockMatrix, groups: Sequence[str | None], gone_after: float) -> Sequence[str | None]:
    """
    `groups` without those members that are gone, but for a few of each group.

    A template of which pods come and go all day has thousands of them within a lookback, and a group is
    judged in one piece. Gone is what was last measured more than `gone_after` seconds before the end.
    """
    large = {group for group, count in Counter(groups).items() if group is not None and count > MOST_GONE}
    if not large or not matrix.blocks:
        return groups
    rows = np.array([row for row, group in enumerate(groups) if group in large], dtype=np.intp)
    silent, seen = _silent_and_seen(matrix, rows)
    gone = np.flatnonzero(silent > gone_after)
    newest, longest = (gone[np.argsort(by[gone], kind="stable")] for by in (silent, -seen))
    speak = {row for order in (newest, longest) for row in _first_of_each(rows[order], groups)}
    left_out = set(rows[gone].tolist()) - speak
    return [None if row in left_out else group for row, group in enumerate(groups)]


def _first_of_each(rows: Indices, groups: Sequence[str | None]) -> Iterator[int]:
    """The first of `rows` of each group, half as many as may speak."""
    told = Counter[str | None]()
    for row in rows.tolist():
        told[groups[row]] += 1
        if told[groups[row]] <= MOST_GONE // 2:
            yield row


def _silent_and_seen(matrix: BlockMatrix, rows: Indices) -> tuple[Floats, Indices]:
    """For how many seconds nothing was measured of each of `rows` at last, and in how many blocks it was."""
    measured = np.zeros((len(rows), matrix.blocks), dtype=np.bool_)
    for signal in (Signal.RSS_FLOOR, Signal.WORKING_SET_FLOOR):
        if signal in matrix.signals:
            measured |= ~np.isnan(matrix.signals[signal][rows])
    ago = np.argmax(measured[:, ::-1], axis=1) * matrix.block_seconds
    return np.where(measured.any(axis=1), ago, np.inf), measured.sum(axis=1)


def _batches(groups: Sequence[str | None]) -> Iterator[Indices]:
    """Rows in batches that bound the memory of a sweep; containers of one group stay together."""
    order = sorted(range(len(groups)), key=lambda row: (groups[row] is None, groups[row] or "", row))
    begin = 0
    while begin < len(order):
        end = min(begin + ROWS_AT_ONCE, len(order))
        while (
            end < len(order)
            and groups[order[end]] is not None
            and groups[order[end]] == groups[order[end - 1]]
        ):
            end += 1
        yield np.array(order[begin:end], dtype=np.intp)
        begin = end
