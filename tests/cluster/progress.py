"""Progress of long steps with elapsed time: live lines on a terminal, plain lines elsewhere.

Steps may run side by side in several threads. Everything goes to standard error, which keeps standard output
for results.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

#: Without a terminal the running steps are printed this often, so that a log shows that work goes on.
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
        self._note = f" · {text}"

    def elapsed_seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def line(self) -> str:
        """What a person reads while the step runs."""
        expected = elapsed_text(self._expected_seconds)
        return f"{self.name}: {elapsed_text(self.elapsed_seconds())} of about {expected}{self._note}"


class Progress:
    """The steps that run in this process."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._running: list[Step] = []
        self._all_ended = threading.Event()
        self._reporter: threading.Thread | None = None

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(Text(text))

    @contextlib.contextmanager
    def step(self, name: str, expected_seconds: float) -> Iterator[Step]:
        """Show a step while the block runs, and how long it took afterwards."""
        step = Step(name, expected_seconds)
        self._begin(step)
        outcome = "failed after"
        try:
            yield step
            outcome = "done in"
        finally:
            self.say(f"{name}: {outcome} {elapsed_text(step.elapsed_seconds())}")
            self._end(step)

    def _begin(self, step: Step) -> None:
        with self._lock:
            self._running.append(step)
            if self._reporter is None:
                self._all_ended.clear()
                report = self._report_live if self._console.is_terminal else self._report_plain
                self._reporter = threading.Thread(target=report, daemon=True)
                self._reporter.start()

    def _end(self, step: Step) -> None:
        with self._lock:
            self._running.remove(step)
            if not self._running and self._reporter is not None:
                self._all_ended.set()
                self._reporter.join()
                self._reporter = None

    def _report_live(self) -> None:
        with Live(console=self._console, get_renderable=self._lines, refresh_per_second=2, transient=True):
            self._all_ended.wait()

    def _report_plain(self) -> None:
        while not self._all_ended.wait(PLAIN_INTERVAL_SECONDS):
            self.say(self._lines().plain)

    def _lines(self) -> Text:
        return Text("\n".join(step.line() for step in tuple(self._running)))


#: What every module reports to, so that steps of different modules share one display.
PROGRESS = Progress()
