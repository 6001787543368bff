"""Where `bilgepump ecs` keeps documents: a directory here, a bucket in `controller.platforms.ecs.bucket`."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from controller.ports import PlatformUnavailable

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A document as it stands."""

    document: Document
    version: str
    """Another one after every change; opaque."""


class UnreadableDocument(Exception):
    """What stands there is no document; the message says where and why."""


class StateStore(Protocol):
    """
    Documents by key, such as `incidents/shop/api-3f2a91c0de.json`. Calls block.

    Every method raises PlatformUnavailable where the store does not answer.
    """

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below `prefix`, sorted."""
        ...

    def read(self, key: str) -> Kept | None:
        """None where there is none. Raises UnreadableDocument."""
        ...

    def create(self, key: str, document: Document) -> str | None:
        """The new document's version; None where the key is taken, and then nothing is written."""
        ...

    def replace(self, key: str, document: Document, version: str) -> str | None:
        """The next version; None where another one than `version` stands there, which is then left alone."""
        ...

    def remove(self, key: str) -> None:
        """Removes a document; nothing happens where there is none."""
        ...


class DirectoryState:
    """
    Documents as files below one directory, that one process writes to at a time.

    A file is written under another name, flushed and renamed; a new one is linked into place, which fails
    where its name exists, so of two writers one is told.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below `prefix`, sorted. Raises PlatformUnavailable."""
        folder = self._directory / prefix
        try:
            # Not `rglob`: it passes over what it may not read, and that is not the same as nothing.
            paths = [
                Path(at) / name
                for at, _, names in os.walk(folder, onerror=_raise_unless_gone)
                for name in names
                if name.endswith(".json")
            ]
        except OSError as error:
            raise PlatformUnavailable(f"{error.filename} cannot be listed: {error.strerror}") from error
        for path in sorted(paths):
            yield path.relative_to(self._directory).as_posix()

    def read(self, key: str) -> Kept | None:
        """None where there is none. Raises UnreadableDocument, PlatformUnavailable."""
        path = self._directory / key
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlatformUnavailable(f"{path} cannot be read: {error.strerror}") from error
        return Kept(parsed(content, str(path)), _digest(content))

    def create(self, key: str, document: Document) -> str | None:
        """The new document's version; None where the key is taken. Raises PlatformUnavailable."""
        content = rendered(document)
        try:
            self._write(key, content, os.link)
        except FileExistsError:
            return None
        return _digest(content)

    def replace(self, key: str, document: Document, version: str) -> str | None:
        """The next version; None where another one stands there. Raises PlatformUnavailable."""
        standing = self.read(key)
        if standing is None or standing.version != version:
            return None
        content = rendered(document)
        self._write(key, content, os.replace)
        return _digest(content)

    def remove(self, key: str) -> None:
        """Removes a document. Raises PlatformUnavailable."""
        path = self._directory / key
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise PlatformUnavailable(f"{path} cannot be removed: {error.strerror}") from error

    def _write(self, key: str, content: bytes, place: Callable[[str, Path], None]) -> None:
        """Written whole, then put in place. Raises FileExistsError where `place` does."""
        path = self._directory / key
        temporary = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            place(temporary, path)
        except FileExistsError:
            if path.is_file():
                raise
            raise PlatformUnavailable(f"{path} cannot be written: something else stands there") from None
        except OSError as error:
            raise PlatformUnavailable(f"{path} cannot be written: {error.strerror}") from error
        finally:
            if temporary:
                Path(temporary).unlink(missing_ok=True)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def rendered(document: Document) -> bytes:
    """A document as text that people can read."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def parsed(content: bytes, where: str) -> Document:
    """The document in `content`. Raises UnreadableDocument."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocument(f"{where} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableDocument(f"{where} holds no document")
    return document


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
