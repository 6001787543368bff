"""
Where evidence is kept: one small interface, a volume or an S3 bucket behind it.

A file is `<folder>/<name>`; an incident's folder is `<namespace>/<name>`. What a folder holds is written
whole or not at all, has its SHA-256 beside it, and goes as a whole (`controller.evidence.retention`).

Everything here blocks: call it from a thread, never from the event loop.

    VolumeEvidenceStore(directory, limits)                     controller.clients.volume_evidence
    S3EvidenceStore(client, S3Location(bucket, …), limits)     controller.clients.s3_evidence
"""

import re
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

_PART = re.compile(r"[A-Za-z0-9._-]{1,255}")


class EvidenceRefused(Exception):
    """The file was not kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a file is, and what it is."""

    uri: str
    sha256: str
    size_bytes: int
    taken_at: datetime
    """When its content was taken; a copy is as old as what it was copied from."""


class Readable(Protocol):
    """What gives bytes in pieces, and none at its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A kept file that is being read. `content` is entered and left as a context."""

    size_bytes: int
    content: AbstractContextManager[Readable]


class EvidenceStore(Protocol):
    """
    Keeps files. Reading raises `ports.EvidenceUnavailable` where the store does not answer.

    A name that is not a plain one (`plain_parts`) is never kept.
    """

    def write(self, folder: str, name: str, content: bytes, now: datetime) -> Stored:
        """Keeps `content`, and makes room first where that is needed. Raises EvidenceRefused."""
        ...

    def copy(self, folder: str, name: str, to_folder: str) -> None:
        """Keeps a file in another folder too, taken when the first was. Raises EvidenceRefused."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in `folder`, sorted."""
        ...

    def read(self, folder: str, name: str) -> bytes | None:
        """The content of a kept file; None where it is not kept."""
        ...

    def content(self, uri: str) -> bytes | None:
        """The content of the file that `write` called `uri`; None where it is gone or not of this store."""
        ...

    def describe(self, folder: str, name: str) -> Stored | None:
        """What a kept file is; None where it is not kept."""
        ...

    def open(self, folder: str, name: str) -> Opened | None:
        """A kept file to be read piece by piece; None where it is not kept, or its name not a plain one."""
        ...

    def protect(self, folders: Collection[str]) -> None:
        """
        Says which folders people still need, in place of those said before; does not block.

        Until it was said nothing is ever removed.
        """
        ...

    def prune(self, now: datetime) -> int:
        """Removes what is past its retention; how many bytes are left. Raises EvidenceUnavailable."""
        ...


def plain_parts(folder: str, name: str) -> tuple[str, ...]:
    """
    The parts of a file's path below the store.

    Raises EvidenceRefused where one of them is not a plain file name: nothing leads out of the store, and
    what begins with a dot is the store's own.
    """
    parts = (*folder.split("/"), name)
    for part in parts:
        if not _PART.fullmatch(part) or part.startswith("."):
            raise EvidenceRefused(f"'{part}' is not a plain file name")
    return parts
