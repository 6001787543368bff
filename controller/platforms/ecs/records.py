"""
Incidents and policy status without Kubernetes: `incidents/<namespace>/<name>.json` in a directory or bucket.

The document is the one Kubernetes would hold; its version is the store's.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from controller.platforms.ecs.state import Document, Kept, StateStore, UnreadableDocument
from controller.ports import PlatformUnavailable
from controller.reporting.incident import Incident
from controller.reporting.incident_document import UnreadableIncident, from_document, to_document
from controller.reporting.policy_status import PolicyFacts, policy_status, status_document

logger = logging.getLogger(__name__)


class StateRecords:
    """A `ports.Records` over a `StateStore`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def incidents(self) -> tuple[Incident, ...]:
        """All incidents that are kept. Raises PlatformUnavailable."""
        return await asyncio.to_thread(self.read_all)

    async def create(self, incident: Incident) -> Incident:
        """Writes a new incident, or answers the one that has its name. Raises PlatformUnavailable."""
        return await asyncio.to_thread(self._create, incident)

    async def update(self, incident: Incident) -> Incident:
        """Writes what changed. Raises PlatformUnavailable, also where somebody else wrote meanwhile."""
        return await asyncio.to_thread(self._update, incident)

    async def remove(self, incident: Incident) -> None:
        """Removes an incident past its retention. Raises PlatformUnavailable."""
        await asyncio.to_thread(self._store.remove, _key(incident))

    async def policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        """Writes a policy's status where it differs. Raises PlatformUnavailable."""
        await asyncio.to_thread(self._policy_status, f"policies/{namespace}/{name}.json", facts, now)

    def read_all(self) -> tuple[Incident, ...]:
        """All incidents, oldest first; one that cannot be read is left alone and said so."""
        found = []
        for key in self._store.keys("incidents"):
            try:
                kept = self._store.read(key)
                found += [_incident(kept)] if kept is not None else []
            except (UnreadableIncident, UnreadableDocument) as error:
                logger.warning("unreadable incident", extra={"key": key, "why": str(error)[:512]})
        return tuple(sorted(found, key=lambda one: one.spec.opened_at))

    def _create(self, incident: Incident) -> Incident:
        document = to_document(incident)
        version = self._store.create(_key(incident), document)
        if version is None:
            return _incident(self._standing(_key(incident)))
        return _incident(Kept(document, version))

    def _update(self, incident: Incident) -> Incident:
        key, document = _key(incident), to_document(incident)
        standing = self._standing(key)
        if incident.resource_version and incident.resource_version != standing.version:
            raise PlatformUnavailable(f"{key} was changed by somebody else meanwhile")
        if document["status"] == standing.document.get("status"):
            return _incident(standing)
        written_by_hand = (standing.document.get("metadata") or {}).get("annotations")
        if written_by_hand:
            document["metadata"]["annotations"] = written_by_hand
        version = self._store.replace(key, document, standing.version)
        if version is None:
            raise PlatformUnavailable(f"{key} was changed by somebody else meanwhile")
        return _incident(Kept(document, version))

    def _policy_status(self, key: str, facts: PolicyFacts, now: datetime) -> None:
        try:
            standing = self._store.read(key)
        except UnreadableDocument as error:
            logger.warning("unreadable policy status", extra={"key": key, "why": str(error)[:512]})
            return
        before: Document = standing.document if standing is not None else {}
        status = status_document(policy_status(facts, now), before, now)
        if standing is None:
            self._store.create(key, status)
        elif status != before:
            # Where somebody else wrote meanwhile, theirs is as new as ours.
            self._store.replace(key, status, standing.version)

    def _standing(self, key: str) -> Kept:
        try:
            kept = self._store.read(key)
        except UnreadableDocument as error:
            raise PlatformUnavailable(str(error)) from error
        if kept is None:
            raise PlatformUnavailable(f"{key} is gone")
        return kept


def _incident(kept: Kept) -> Incident:
    return replace(from_document(kept.document), resource_version=kept.version)


def _key(incident: Incident) -> str:
    return f"incidents/{incident.namespace}/{incident.name}.json"
