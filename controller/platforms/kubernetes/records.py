"""Incidents and policy status as objects of the API server: the cluster is the memory."""

import logging
from collections.abc import Sequence
from datetime import datetime

from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.reporting.incident import Incident
from controller.reporting.incident_document import UnreadableIncident, from_document, merge_patch, to_document
from controller.reporting.policy_status import PolicyFacts, policy_status, status_document

logger = logging.getLogger(__name__)


class KubernetesRecords:
    """Writes only what differs: when nothing changed, nothing is written."""

    def __init__(self, api: KubernetesApi, *, namespaces: Sequence[str] = ()) -> None:
        """Reads incidents of `namespaces`; of all where it is empty."""
        self._api = api
        self._namespaces = namespaces

    async def incidents(self) -> tuple[Incident, ...]:
        """All incidents that are kept. Raises PlatformUnavailable."""
        documents: list[Document] = []
        for path in self._lists():
            documents += await self._api.items(path)
        return tuple(incident for document in documents if (incident := _read(document)) is not None)

    async def create(self, incident: Incident) -> Incident:
        """Writes a new incident, status included; where its name exists, that one is what counts."""
        document = to_document(incident)
        status = document.pop("status")
        path = _path(incident)
        try:
            await self._api.create(path.rpartition("/")[0], document)
        except ApiRefusal as refusal:
            if refusal.status != 409:
                raise
            return from_document(await self._api.get(path))
        return from_document(await self._api.patch(f"{path}/status", {"status": status}))

    async def update(self, incident: Incident) -> Incident:
        """Writes what changed against what stands there. Raises PlatformUnavailable, ApiRefusal 409."""
        path = _path(incident)
        standing = await self._api.get(path)
        patch = merge_patch(standing.get("status") or {}, to_document(incident)["status"])
        if not patch:
            return from_document(standing)
        version = incident.resource_version or standing["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        return from_document(await self._api.patch(f"{path}/status", body))

    async def remove(self, incident: Incident) -> None:
        """Removes an incident past its retention. Raises PlatformUnavailable."""
        await self._api.delete(_path(incident))

    async def policy_status(self, namespace: str, name: str, facts: PolicyFacts, now: datetime) -> None:
        """Writes a policy's status where it differs. Raises PlatformUnavailable."""
        path = paths.of_policy(namespace, name)
        standing = await self._api.find(path)
        if standing is None:
            return
        before = standing.get("status") or {}
        patch = merge_patch(before, status_document(policy_status(facts, now), before, now))
        if patch:
            await self._api.patch(f"{path}/status", {"status": patch})

    def _lists(self) -> list[str]:
        if not self._namespaces:
            return [f"{paths.POLICIES}/memoryincidents"]
        return [paths.in_namespace(paths.POLICIES, name, "memoryincidents") for name in self._namespaces]


def _path(incident: Incident) -> str:
    return paths.in_namespace(paths.POLICIES, incident.namespace, "memoryincidents", incident.name)


def _read(document: Document) -> Incident | None:
    """An incident that cannot be read is somebody else's edit: it is left alone and said so."""
    try:
        return from_document(document)
    except UnreadableIncident as unreadable:
        name = document.get("metadata", {}).get("name")
        logger.warning("unreadable incident", extra={"incident": name, "why": str(unreadable)[:512]})
        return None
