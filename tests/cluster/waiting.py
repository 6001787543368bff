"""Waiting for a condition with a deadline; nothing here ever sleeps for a fixed time and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class WaitTimeout(AssertionError):
    """A condition did not come true in time; the message says which, and what was seen last."""


def wait_until(
    description: str,
    condition: Callable[[], Answer | None],
    *,
    timeout_seconds: float,
    poll_seconds: float = 0.2,
) -> Answer:
    """Ask `condition` until its answer is true, and return that answer.

    Raises WaitTimeout after `timeout_seconds`. Whatever `condition` raises is passed on at once.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise WaitTimeout(
                f"after {timeout_seconds:g} s still not: {description} (last answer: {answer!r})"
            )
        time.sleep(poll_seconds)
