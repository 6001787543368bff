"""Waiting for what must come."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 10, what: str = "it") -> None:
    """Waits for a condition. Raises AssertionError where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.02)
