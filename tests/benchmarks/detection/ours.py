"""The project's own detector, asked through what `bilgepump backtest -o json` runs and prints."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.detection.corpus import POLICY
from tests.benchmarks.detection.detector import Key, Transition
from tests.benchmarks.detection.recording import Recording, matrix

if TYPE_CHECKING:
    from controller.policy.memory_policy import MemoryPolicy


class Backtest:
    """Replays the policy over recordings; all passes through the answer's and the result's JSON documents."""

    name = "ours"
    cases_at_once = 75

    def __init__(self, every_seconds: float) -> None:
        self.every_seconds = every_seconds

    def run(self, recordings: Sequence[Recording]) -> Mapping[Key, tuple[Transition, ...]]:
        from controller.cli.backtest import blocks_of, result_document
        from controller.cli.replay import run_backtest
        from controller.metrics.recording import parse_answer

        policy = _policy()
        recorded = [series for one in recordings for series in parse_answer(matrix([one]))]
        result = run_backtest(policy, blocks_of(policy, recorded), timedelta(seconds=self.every_seconds))
        return transitions(result_document(result))


@cache
def _policy() -> "MemoryPolicy":
    from controller.cli.backtest import read_policy

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "policy.yaml")
        path.write_text(POLICY)
        return read_policy(path)


def transitions(answer: Mapping[str, Any]) -> dict[Key, tuple[Transition, ...]]:
    """Read the JSON result of `bilgepump backtest`."""
    return {
        (result["namespace"], result["pod"], result["container"]): tuple(
            Transition(
                at=_epoch(t["time"]) or 0.0,
                verdict=t["verdict"],
                growth_class=t.get("class"),
                crosses=_epoch(t.get("crossesThresholdAt")),
                earliest=_epoch(t.get("crossesThresholdEarliest")),
                latest=_epoch(t.get("crossesThresholdLatest")),
                action=t.get("action"),
            )
            for t in result["transitions"]
        )
        for result in answer["results"]
    }


def _epoch(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
