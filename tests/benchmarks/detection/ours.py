"""The project's own detector, asked through what users have: `bilgepump backtest -o json`."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.detection.corpus import POLICY
from tests.benchmarks.detection.detector import Key, Transition
from tests.benchmarks.detection.recording import Recording, matrix

_LONGEST_SECONDS = 1800


class Backtest:
    """Replays the policy over the recordings in a process of its own and reads the JSON contract of the
    command.

    Raises:
        RuntimeError: the command failed; the message is its last words.

    """

    name = "ours"
    acts = True
    every_seconds = 600.0

    def run(self, recordings: Sequence[Recording]) -> Mapping[Key, tuple[Transition, ...]]:
        with tempfile.TemporaryDirectory() as directory:
            policy, file = Path(directory, "policy.yaml"), Path(directory, "recorded.json")
            policy.write_text(POLICY)
            file.write_text(json.dumps(matrix(recordings)))
            command = [sys.executable, "-m", "controller", "backtest", "--policy", str(policy)]
            done = subprocess.run(
                [*command, "--from-file", str(file), "-o", "json"],
                capture_output=True,
                text=True,
                timeout=_LONGEST_SECONDS,
            )
        if done.returncode not in (0, 3):
            raise RuntimeError(f"bilgepump backtest ended with {done.returncode}: {done.stderr[-2000:]}")
        return transitions(json.loads(done.stdout))


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
