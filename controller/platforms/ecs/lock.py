"""One copy acts: a lock on the state directory, held by the kernel and given up by it when a process dies."""

import fcntl
import os
from datetime import timedelta
from pathlib import Path
from typing import IO

from controller.platforms.claiming import claim_for_ever
from controller.ports import PlatformUnavailable

AGAIN = timedelta(seconds=5)
"""How often a copy that waits looks whether the lock is free."""


class DirectoryLock:
    """A `ports.Leadership` for copies on one host, or on one file system with locks."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: IO[str] | None = None

    def __str__(self) -> str:
        """Where it is."""
        return str(self._path)

    @property
    def held(self) -> bool:
        """The lock was taken and not given up."""
        return self._file is not None

    async def claim(self) -> bool:
        """Takes the lock unless another process has it; True while it is ours. Raises PlatformUnavailable."""
        if self._file is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+")
        except OSError as error:
            raise PlatformUnavailable(f"{self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
        return True

    async def keep(self) -> None:
        """Tries to take the lock for ever; the kernel keeps it."""
        await claim_for_ever(self.claim, AGAIN, what="lock")

    async def confirm(self) -> bool:
        """Whether the lock is ours and still the one that others would take."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False

    async def release(self) -> None:
        """Gives it up."""
        if self._file is not None:
            self._file.close()
            self._file = None
