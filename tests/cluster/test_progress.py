"""People see that long steps go on, on a terminal and in a log."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from tests.cluster import progress
from tests.cluster.progress import Progress, elapsed_text
from tests.cluster.waiting import wait_until


def on(*, terminal: bool) -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    return Progress(Console(file=output, force_terminal=terminal, width=200)), output


@pytest.mark.parametrize(("seconds", "text"), [(7.24, "7.2 s"), (59.9, "59.9 s"), (245.0, "4 m 05 s")])
def test_elapsed_time_is_written_for_people(seconds: float, text: str) -> None:
    assert elapsed_text(seconds) == text


@pytest.mark.parametrize("terminal", [True, False], ids=["on a terminal", "in a log"])
def test_a_step_says_that_it_goes_on_and_that_it_is_done(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_SECONDS", 0.01)
    shown, output = on(terminal=terminal)
    with shown.step("build it", expected_seconds=90) as step:
        step.note("nearly there")
        wait_until(
            "the running step is shown", lambda: "nearly there" in output.getvalue(), timeout_seconds=10
        )
    assert "of about 1 m 30 s · nearly there" in output.getvalue()
    assert "build it: done in " in output.getvalue()


def test_a_step_that_fails_says_so() -> None:
    shown, output = on(terminal=False)
    with pytest.raises(OSError, match="no space"), shown.step("build it", expected_seconds=90):
        raise OSError("no space")
    assert "build it: failed after " in output.getvalue()


@pytest.mark.parametrize("terminal", [True, False], ids=["on a terminal", "in a log"])
def test_steps_side_by_side_share_the_display(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_SECONDS", 0.01)
    shown, output = on(terminal=terminal)
    released = threading.Event()

    def other() -> None:
        with shown.step("other", expected_seconds=5):
            assert released.wait(10)

    thread = threading.Thread(target=other)
    with shown.step("one", expected_seconds=5):
        thread.start()
        wait_until(
            "both are shown",
            lambda: "one: " in output.getvalue() and "other: " in output.getvalue(),
            timeout_seconds=10,
        )
    released.set()
    thread.join()
    assert output.getvalue().count("done in") == 2
