"""Progress of long steps with elapsed time: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status

#: Without a terminal a line is printed this often, so that a log shows that work goes on.
PLAIN_INTERVAL_SECONDS = 30.0


def elapsed_text(seconds: float) -> str:
    """`4 m 05 s`, or `7.2 s` below a minute."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} m {int(seconds) % 60:02d} s"


class Step:
    """One running step: its name, its expected time and a note that may change."""

    def __init__(self, name: str, expected_seconds: float) -> None:
        self.name = name
        self._expected_seconds = expected_seconds
        self._started = time.monotonic()
        self._note = ""

    def note(self, text: str) -> None:
        """Say what the step is doing right now."""
        self._note = text

    def elapsed_seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def line(self) -> str:
        """What a person reads while the step runs."""
        note = f" · {self._note}" if self._note else ""
        expected = elapsed_text(self._expected_seconds)
        return f"{self.name}: {elapsed_text(self.elapsed_seconds())} of about {expected} cold{note}"


class Progress:
    """Writes to standard error, which keeps standard output for results."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False)

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False)

    @contextlib.contextmanager
    def step(self, name: str, expected_seconds: float) -> Iterator[Step]:
        """Show a step while the block runs, and how long it took afterwards."""
        step = Step(name, expected_seconds)
        ended = threading.Event()
        show = self._show_live if self._console.is_terminal else self._show_plain
        reporter = threading.Thread(target=show, args=(step, ended), daemon=True)
        reporter.start()
        outcome = "failed after"
        try:
            yield step
            outcome = "done in"
        finally:
            ended.set()
            reporter.join()
            self.say(f"{name}: {outcome} {elapsed_text(step.elapsed_seconds())}")

    def _show_live(self, step: Step, ended: threading.Event) -> None:
        with Status(step.line(), console=self._console) as status:
            while not ended.wait(1.0):
                status.update(step.line())

    def _show_plain(self, step: Step, ended: threading.Event) -> None:
        self.say(step.line())
        while not ended.wait(PLAIN_INTERVAL_SECONDS):
            self.say(step.line())
