"""The cache outside the repository: everything that takes minutes to make is made once and kept there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def cache_root() -> Path:
    """``${XDG_CACHE_HOME:-~/.cache}/bilgepump``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).resolve() / "bilgepump"


def content_hash(parts: Iterable[bytes]) -> str:
    """Twelve hex digits that change with any of the parts or their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock on `path`; `on_wait` is called once when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached(entry: Path, make: Callable[[Path], None], *, on_wait: Callable[[], None] = lambda: None) -> None:
    """See to it that the folder `entry` is there: `make(folder)` fills it unless it is.

    Safe for several processes at once, and never half made: `make` fills a folder beside it, which is
    renamed when it is complete.
    """
    if entry.exists():
        return
    with locked(entry.with_name(f".{entry.name}.lock"), on_wait=on_wait):
        if entry.exists():
            return
        unfinished = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
        try:
            unfinished.chmod(0o755)
            make(unfinished)
            unfinished.rename(entry)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
