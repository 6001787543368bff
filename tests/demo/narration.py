"""The story on a terminal: a timeline that grows, and below it the memory of each replica as a bar."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tests.demo.recording import Moment

BAR_WIDTH = 40
PLAIN_INTERVAL_SECONDS = 15.0
MIB = 2**20


class Narrator:
    """Tells moments once and shows memory all the while; plain lines where there is no terminal."""

    def __init__(self, limit_bytes: int, threshold_ratio: float) -> None:
        self._console = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        self._limit_bytes = limit_bytes
        self._threshold_ratio = threshold_ratio
        self._started = time.monotonic()
        self._last_bars = float("-inf")
        self._live: Live | None = None

    def __enter__(self) -> Narrator:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str = "") -> None:
        """One line, as it is."""
        self._console.print(Text(text))

    def heading(self, text: str) -> None:
        """What comes next."""
        self._console.print(Text(f"\n{text}", style="bold"))

    def moment(self, moment: Moment) -> None:
        """One line of the timeline."""
        line = Text(f"{self._clock()}  ")
        line.append(f"{moment.what:<24}", style="bold")
        line.append(f" {moment.regarding}: {moment.message}")
        self._console.print(line)

    def memory(self, replicas: dict[str, int], failed: int, sent: int) -> None:
        """The replicas' memory against the threshold."""
        lines = [Text(f"{self._clock()}  requests {sent}, failed {failed}")]
        lines += [self._bar(name, used) for name, used in sorted(replicas.items())]
        shown = Text("\n").join(lines)
        if self._live is not None:
            self._live.update(shown)
        elif time.monotonic() - self._last_bars >= PLAIN_INTERVAL_SECONDS:
            self._last_bars = time.monotonic()
            self._console.print(shown)

    def _bar(self, name: str, used_bytes: int) -> Text:
        ratio = used_bytes / self._limit_bytes
        filled = min(BAR_WIDTH, round(ratio * BAR_WIDTH))
        line_at = round(self._threshold_ratio * BAR_WIDTH)
        cells = ["█" if cell < filled else "·" for cell in range(BAR_WIDTH)]
        cells[line_at] = "┃"
        over = " over the threshold" if ratio >= self._threshold_ratio else ""
        style = "red" if over else "yellow" if ratio >= 0.8 * self._threshold_ratio else "green"
        bar = Text(f"         {name:<26} ")
        bar.append("".join(cells), style=style)
        bar.append(f" {used_bytes / MIB:4.0f} MiB {100 * ratio:3.0f} %{over}")
        return bar

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60:3d}:{seconds % 60:02d}"


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
