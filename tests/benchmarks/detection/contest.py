"""Draws cases, lets every detector look at them, and scores them: two processes, the same code for all."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.benchmarks.detection import ours, peers
from tests.benchmarks.detection.case import Case
from tests.benchmarks.detection.corpus import Draw
from tests.benchmarks.detection.detector import Detector
from tests.benchmarks.detection.score import Outcome, judge

CASES_PER_TASK = 12


def detectors(names: Sequence[str]) -> list[Detector]:
    """Find detectors by name; `peers` is all of them, `ours` the project's own.

    Raises:
        ValueError: a name is not known; says which are.

    """
    known: dict[str, Detector] = {peer.name: peer for peer in peers.ALL} | {"ours": ours.Backtest()}
    chosen: dict[str, Detector] = {}
    for name in names:
        if name not in (*known, "peers", "all"):
            raise ValueError(f"detector {name!r} is not one of: all, peers, {', '.join(known)}")
        for one in known if name == "all" else [p.name for p in peers.ALL] if name == "peers" else [name]:
            chosen[one] = known[one]
    return list(chosen.values())


def contest(draws: Sequence[Draw], names: Sequence[str], processes: int = 2) -> dict[str, list[Outcome]]:
    """Score each named detector on each draw; prints a progress line to stderr."""
    tasks = [(draws[i : i + CASES_PER_TASK], names) for i in range(0, len(draws), CASES_PER_TASK)]
    outcomes: dict[str, list[Outcome]] = {detector.name: [] for detector in detectors(names)}
    began, done = time.monotonic(), 0
    for scored, cases in _scored(tasks, processes):
        done += cases
        for name, new in scored.items():
            outcomes[name] += new
        spent = time.monotonic() - began
        left = spent / done * (len(draws) - done)
        print(
            f"\r{done}/{len(draws)} cases, {spent:.0f} s, {left:.0f} s left ",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    return outcomes


def _scored(
    tasks: Sequence[tuple[Sequence[Draw], Sequence[str]]], processes: int
) -> Iterator[tuple[dict[str, list[Outcome]], int]]:
    if processes == 1:
        yield from map(_task, tasks)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_task, tasks)


def _task(task: tuple[Sequence[Draw], Sequence[str]]) -> tuple[dict[str, list[Outcome]], int]:
    draws, names = task
    cases = [(draw, draw.case()) for draw in draws]
    return {detector.name: score(detector, cases) for detector in detectors(names)}, len(draws)


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


def by_name(outcomes: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Ours first, then the peers as listed."""
    return sorted(outcomes, key=lambda name: name != "ours")
