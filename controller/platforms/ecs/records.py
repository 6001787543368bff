"""
Incidents and policy status as files: `<state>/incidents/<namespace>/<name>.json`.

The document is the one Kubernetes would hold. A file is written under another name, flushed and renamed; a
new one is linked into place, which fails where its name exists, so of two writers one gets the other's.
"""

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.ports import PlatformUnavailable
from controller.reporting.incident import Incident
from controller.reporting.incident_document import UnreadableIncident, from_document, to_document
from controller.reporting.policy_status import PolicyFacts, policy_status, status_document

logger = logging.getLogger(__name__)

Document = dict[str, Any]


class DirectoryRecords:
    """A `ports.Records` over a directory that one process writes to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def incidents(self) -> tuple[Incident, ...]:
        """All incidents that are kept. Raises PlatformUnavailable."""
        return await asyncio.to_thread(self.read_all)

    async def create(self, incident: Incident) -> Incident:
        """Writes a new incident; where its name exists, that one is what counts."""
        return await asyncio.to_thread(self._create, incident)

    async def update(self, incident: Incident) -> Incident:
        """Writes what changed. Raises PlatformUnavailable, also where somebody else wrote meanwhile."""
        return await asyncio.to_thread(self._update, incident)

    async def remove(self, incident: Incident) -> None:
        """Removes an incident past its retention."""
        await asyncio.to_thread(self._path(incident).unlink, missing_ok=True)

    async def policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        """Writes a policy's status where it differs. Raises PlatformUnavailable."""
        await asyncio.to_thread(self._policy_status, namespace, name, facts, now)

    def read_all(self) -> tuple[Incident, ...]:
        """All incidents, oldest first; one that cannot be read is left alone and said so."""
        found = []
        for path in sorted((self._directory / "incidents").glob("*/*.json")):
            try:
                found.append(from_document(_read(path)))
            except (UnreadableIncident, PlatformUnavailable) as error:
                logger.warning("unreadable incident", extra={"path": str(path), "why": str(error)[:512]})
        return tuple(sorted(found, key=lambda one: one.spec.opened_at))

    def _create(self, incident: Incident) -> Incident:
        path = self._path(incident)
        document = _versioned(incident, 1)
        _write(path, document, os.link)
        return from_document(_read(path))

    def _update(self, incident: Incident) -> Incident:
        path = self._path(incident)
        standing = _read(path)
        version = str(standing["metadata"].get("resourceVersion", ""))
        if incident.resource_version and incident.resource_version != version:
            raise PlatformUnavailable(f"{path} was changed by somebody else meanwhile")
        document = _versioned(incident, int(version or 0) + 1)
        if document["status"] == standing.get("status"):
            return from_document(standing)
        _write(path, document, os.replace)
        return from_document(document)

    def _policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        path = self._directory / "policies" / namespace / f"{name}.json"
        before = _read(path) if path.exists() else {}
        status = status_document(policy_status(facts, now), before)
        if status != before:
            _write(path, status, os.replace)

    def _path(self, incident: Incident) -> Path:
        return self._directory / "incidents" / incident.namespace / f"{incident.name}.json"


def _versioned(incident: Incident, version: int) -> Document:
    document = to_document(incident)
    document["metadata"]["resourceVersion"] = str(version)
    return document


def _read(path: Path) -> Document:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PlatformUnavailable(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise PlatformUnavailable(f"{path} holds no document")
    return document


def _write(path: Path, document: Document, place: Callable[[str, Path], None]) -> None:
    """Written whole, then put in place; an existing file stays where `place` does not replace."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        place(temporary, path)
    except FileExistsError:
        return
    except OSError as error:
        raise PlatformUnavailable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
