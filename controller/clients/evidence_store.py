"""
The evidence store on a volume: plain files, written whole or not at all.

`<directory>/<folder>/<name>`; a file is written under another name, flushed and renamed, so that a crash
leaves nothing half written under its real name. Oldest files go first when the store is full.
"""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PART = re.compile(r"[A-Za-z0-9._-]{1,255}")


class EvidenceRefused(Exception):
    """The file was not kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a file is, and what it is."""

    uri: str
    sha256: str
    size_bytes: int


class VolumeEvidenceStore:
    """Files below one directory."""

    def __init__(self, directory: Path, *, maximum_bytes: int, maximum_age: timedelta) -> None:
        self._directory = directory
        self._maximum_bytes = maximum_bytes
        self._maximum_age = maximum_age

    def write(self, folder: str, name: str, content: bytes, now: datetime) -> Stored:
        """
        Keeps `content`; makes room first where that is needed.

        Raises EvidenceRefused where the name is not a plain one, the content alone is more than the store
        may hold, or the volume refuses.
        """
        path = self._path(folder, name)
        if len(content) > self._maximum_bytes:
            raise EvidenceRefused(f"{len(content)} bytes are more than the store may hold")
        try:
            self.prune(now, room_bytes=len(content))
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            raise EvidenceRefused(f"the evidence volume refused: {error.strerror}") from error
        return Stored(uri=path.as_uri(), sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    def holds(self, folder: str) -> bool:
        """Whether anything is kept in `folder`."""
        return bool(self.names(folder))

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in `folder`, sorted."""
        directory = self._path(folder, "x").parent
        found = directory.iterdir() if directory.is_dir() else ()
        return tuple(sorted(path.name for path in found if not path.name.startswith(".")))

    def content(self, uri: str) -> bytes | None:
        """The content of the file that `write` called `uri`; None where it is gone or not of this store."""
        path = Path(unquote(urlsplit(uri).path))
        inside = path.is_relative_to(self._directory) and ".." not in path.parts
        return path.read_bytes() if inside and path.is_file() else None

    def read(self, folder: str, name: str) -> bytes | None:
        """The content of a kept file; None where it is not kept."""
        path = self._path(folder, name)
        return path.read_bytes() if path.is_file() else None

    def file(self, folder: str, name: str) -> Path | None:
        """
        Where a kept file is on the volume, links followed; None where it is not kept.

        Raises EvidenceRefused where the name is not a plain one.
        """
        path = self._path(folder, name).resolve()
        inside = path.is_relative_to(self._directory.resolve()) and not name.startswith(".")
        return path if inside and path.is_file() else None

    def describe(self, folder: str, name: str) -> Stored | None:
        """What a kept file is; None where it is not kept."""
        content = self.read(folder, name)
        if content is None:
            return None
        path = self._path(folder, name)
        return Stored(uri=path.as_uri(), sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    def modified_at(self, folder: str, name: str) -> datetime:
        """When the content of a kept file was taken. Raises OSError where it is not kept."""
        return datetime.fromtimestamp(self._path(folder, name).stat().st_mtime, UTC)

    def copy(self, folder: str, name: str, to_folder: str, now: datetime) -> None:
        """Keeps a file in another folder too, as old as it is. Raises EvidenceRefused."""
        content = self.read(folder, name)
        if content is None:
            raise EvidenceRefused(f"{folder}/{name} is not kept")
        taken = self._path(folder, name).stat().st_mtime
        self.write(to_folder, name, content, now)
        os.utime(self._path(to_folder, name), (taken, taken))

    def prune(self, now: datetime, *, room_bytes: int = 0) -> None:
        """Removes what is too old, then the oldest until `room_bytes` more fit."""
        files = sorted(
            ((path.stat(), path) for path in self._directory.rglob("*") if path.is_file()),
            key=lambda pair: pair[0].st_mtime,
        )
        total = sum(status.st_size for status, _ in files)
        for status, path in files:
            age = now - datetime.fromtimestamp(status.st_mtime, UTC)
            if age <= self._maximum_age and total + room_bytes <= self._maximum_bytes:
                break
            path.unlink(missing_ok=True)
            total -= status.st_size

    def _path(self, folder: str, name: str) -> Path:
        parts = (*folder.split("/"), name)
        for part in parts:
            if not _PART.fullmatch(part) or part in (".", ".."):
                raise EvidenceRefused(f"'{part}' is not a plain file name")
        return self._directory.joinpath(*parts)


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
