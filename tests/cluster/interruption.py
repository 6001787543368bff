"""Signals while a cluster is up: none may end the process before the cluster is gone."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """
    Treat SIGTERM as Ctrl-C for the length of the block, so that `finally` clauses run.

    Ctrl-C is listened to as well: a shell that starts a command in the background makes it deaf to it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Finish the block, which takes seconds, before Ctrl-C or SIGTERM is heard."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
