"""One copy acts: a lock on the state directory, held by the kernel and given up by it when a process dies."""

import fcntl
import os
from pathlib import Path
from typing import IO


class DirectoryLock:
    """A `ports.Leadership` for copies on one host."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Takes the lock unless another process has it; True while it is ours."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
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

    async def confirm(self) -> bool:
        """Whether the lock is ours and still the one that others would take."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Gives it up."""
        if self._file is not None:
            self._file.close()
            self._file = None
