"""Our own token bucket: an account's API quota is shared with everything else that runs in it."""

import threading
import time
from collections.abc import Callable


class Pace:
    """
    Lets `burst` calls through at once, then `per_second`.

    ECS gives each account and region token buckets, 50 tokens for reads of clusters for example (developer
    guide, request throttling); the defaults leave others the larger part of the smallest of them.
    """

    def __init__(
        self,
        *,
        burst: int = 25,
        per_second: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._filled_at = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Blocks until the next call may be made."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled_at) * self._per_second
            self._tokens = min(self._burst, self._tokens + gained) - 1
            self._filled_at = now
            missing = max(-self._tokens, 0.0)
        if missing:
            self._sleep(missing / self._per_second)
