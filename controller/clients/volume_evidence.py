"""
Evidence on a volume: plain files, written whole or not at all.

A file is written under another name, flushed and renamed, so that a crash leaves nothing half written under
its real name.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from controller.clients.evidence_store import (
    EvidenceRefused,
    Opened,
    Stored,
    plain_parts,
)
from controller.evidence.retention import EvidenceLimits, KeptEntry, expired_folders
from controller.ports import EvidenceUnavailable


class VolumeEvidenceStore:
    """An `EvidenceStore` of files below one directory."""

    def __init__(self, directory: Path, limits: EvidenceLimits) -> None:
        self._directory = directory
        self._limits = limits
        self._protected: frozenset[str] | None = None
        """Not known before `protect`."""

    def write(self, folder: str, name: str, content: bytes, now: datetime) -> Stored:
        """
        Keeps `content`, and makes room first where that is needed.

        Raises EvidenceRefused where the name is not a plain one, there is no room, or the volume refuses.
        """
        path = self._path(folder, name)
        if len(content) > self._limits.maximum_bytes:
            raise EvidenceRefused(f"{len(content)} bytes are more than the store may hold")
        try:
            self._make_room(now, len(content), folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, content)
            os.utime(path, (now.timestamp(), now.timestamp()))
        except OSError as error:
            raise EvidenceRefused(f"the evidence volume refused: {error.strerror}") from error
        return _stored(path, content)

    def copy(self, folder: str, name: str, to_folder: str) -> None:
        """Keeps a file in another folder too, taken when the first was. Raises EvidenceRefused."""
        content, original = self.read(folder, name), self.describe(folder, name)
        if content is None or original is None:
            raise EvidenceRefused(f"{folder}/{name} is not kept")
        self.write(to_folder, name, content, original.taken_at)

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in `folder`, sorted."""
        directory = self._path(folder, "x").parent
        with _reading():
            found = [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []
        return tuple(sorted(path.name for path in found if not path.name.startswith(".")))

    def read(self, folder: str, name: str) -> bytes | None:
        """The content of a kept file; None where it is not kept."""
        path = self._path(folder, name)
        with _reading():
            return path.read_bytes() if path.is_file() else None

    def content(self, uri: str) -> bytes | None:
        """The content of the file that `write` called `uri`; None where it is gone or not of this store."""
        path = Path(unquote(urlsplit(uri).path))
        inside = path.is_relative_to(self._directory) and ".." not in path.parts
        with _reading():
            return path.read_bytes() if inside and path.is_file() else None

    def describe(self, folder: str, name: str) -> Stored | None:
        """What a kept file is; None where it is not kept."""
        content = self.read(folder, name)
        return None if content is None else _stored(self._path(folder, name), content)

    def open(self, folder: str, name: str) -> Opened | None:
        """A kept file to be read piece by piece; None where it is not kept, or its name not a plain one."""
        try:
            path = self._path(folder, name).resolve()
        except EvidenceRefused:
            return None
        inside = path.is_relative_to(self._directory.resolve())
        with _reading():
            return Opened(path.stat().st_size, path.open("rb")) if inside and path.is_file() else None

    def protect(self, folders: Collection[str]) -> None:
        """Says which folders people still need. Until it was said nothing is ever removed."""
        self._protected = frozenset(folders)

    def prune(self, now: datetime) -> int:
        """Removes what is past its retention; how many bytes are left. Raises EvidenceUnavailable."""
        with _reading():
            if self._protected is None:
                return sum(entry.size_bytes for entry in self._entries())
            return self._make_room(now, 0, "")

    def _make_room(self, now: datetime, room_bytes: int, writing: str) -> int:
        """How many bytes are left. Raises EvidenceRefused where that is too many."""
        entries = list(self._entries())
        gone = self._expired(entries, now, room_bytes, writing)
        for folder in gone:
            self._remove(self._directory / folder)
        left = sum(entry.size_bytes for entry in entries if entry.folder not in gone)
        if left + room_bytes > self._limits.maximum_bytes:
            where = f" in {writing}" if self._protected is not None else ""
            raise EvidenceRefused(f"no room: {left} bytes are kept already{where}")
        return left

    def _expired(
        self, entries: Sequence[KeptEntry], now: datetime, room_bytes: int, writing: str
    ) -> tuple[str, ...]:
        if self._protected is None:
            return ()
        return expired_folders(
            entries, self._limits, now, room_bytes=room_bytes, writing=writing, keep=self._protected
        )

    def _entries(self) -> Iterator[KeptEntry]:
        for path in self._directory.rglob("*"):
            if path.is_file() and path.parent != self._directory:
                status = path.stat()
                folder = path.parent.relative_to(self._directory).as_posix()
                yield KeptEntry(folder, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    @staticmethod
    def _remove(folder: Path) -> None:
        for path in folder.iterdir():
            if path.is_file():
                path.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()

    def _path(self, folder: str, name: str) -> Path:
        return self._directory.joinpath(*plain_parts(folder, name))


def _stored(path: Path, content: bytes) -> Stored:
    taken_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Stored(path.as_uri(), hashlib.sha256(content).hexdigest(), len(content), taken_at)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvidenceUnavailable(f"the evidence volume cannot be read: {error.strerror}") from error


def _write_whole(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
