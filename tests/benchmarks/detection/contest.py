"""Draws cases, lets every detector look at them, and scores them: two processes, the same code for all."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.benchmarks.detection import ours, peers
from tests.benchmarks.detection.case import Case
from tests.benchmarks.detection.corpus import Draw
from tests.benchmarks.detection.detector import Detector
from tests.benchmarks.detection.score import Outcome, judge

EVERY_SECONDS = 600.0


def detectors(names: Sequence[str], every_seconds: float = EVERY_SECONDS) -> list[Detector]:
    """Find detectors by name; `peers` is all of them, `ours` the project's own, looking every so often.

    Raises:
        ValueError: a name is not known; says which are.

    """
    known: dict[str, Detector] = {peer.name: peer for peer in peers.ALL} | {
        "ours": ours.Backtest(every_seconds)
    }
    chosen: dict[str, Detector] = {}
    for name in names:
        if name not in (*known, "peers", "all"):
            raise ValueError(f"detector {name!r} is not one of: all, peers, {', '.join(known)}")
        for one in known if name == "all" else [p.name for p in peers.ALL] if name == "peers" else [name]:
            chosen[one] = known[one]
    return list(chosen.values())


def contest(
    draws: Sequence[Draw], names: Sequence[str], processes: int = 2, every_seconds: float = EVERY_SECONDS
) -> dict[str, list[Outcome]]:
    """Score each named detector on each draw; prints a progress line to stderr."""
    chosen = detectors(names, every_seconds)
    outcomes: dict[str, list[Outcome]] = {detector.name: [] for detector in chosen}
    began, done, total = time.monotonic(), 0, len(draws) * len(chosen)
    for name, new, cases in _scored(
        [task for one in chosen for task in _tasks(one, every_seconds, draws)], processes
    ):
        done += cases
        outcomes[name] += new
        spent = time.monotonic() - began
        print(f"\r{name:20} {done}/{total} cases, {spent:.0f} s ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return outcomes


Task = tuple[str, float, Sequence[Draw]]


def _tasks(detector: Detector, every_seconds: float, draws: Sequence[Draw]) -> Iterator[Task]:
    for first in range(0, len(draws), detector.cases_at_once):
        yield detector.name, every_seconds, draws[first : first + detector.cases_at_once]


def _scored(tasks: Sequence[Task], processes: int) -> Iterator[tuple[str, list[Outcome], int]]:
    if processes == 1:
        yield from map(_score_task, tasks)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_score_task, tasks)


def _score_task(task: Task) -> tuple[str, list[Outcome], int]:
    name, every_seconds, draws = task
    (detector,) = detectors([name], every_seconds)
    return name, score(detector, [(draw, draw.case()) for draw in draws]), len(draws)


def score(detector: Detector, cases: Sequence[tuple[Draw, Case]]) -> list[Outcome]:
    """Let one detector look at all cases at once, and judge each unit."""
    recordings = {recording.key: recording for _, case in cases for recording in case.recordings}
    began = time.process_time()
    said = detector.run(list(recordings.values()))
    seconds = (time.process_time() - began) / max(len(recordings), 1)
    found = [
        judge(label, said, recordings, family=draw.family, hostile=draw.hostile, seed=draw.seed)
        for draw, case in cases
        for label in case.labels
    ]
    return [replace(outcome, seconds=seconds) for outcome in found]
