"""
Keeps what the platform tells of a replica beside its profiles.

`<label>-<replica>-<container>-context.json`, `…-log.txt` and `…-previouslog.txt`. Log lines may hold secrets:
they are evidence and nothing else, never part of an Event, a status or our own log.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from controller.clients.evidence_store import EvidenceRefused, EvidenceStore
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import ContextPlan, Told, to_json
from controller.ports import Telemetry, WorldError


class ContextSource(Protocol):
    """What a platform tells of a replica."""

    async def read(self, plan: ContextPlan) -> Told:
        """All that can be had; what cannot stands in `missing`. Raises WorldError where nothing can."""
        ...


class EvidenceContextKeeper:
    """A `ports.ContextKeeper` over a platform and the evidence store."""

    def __init__(
        self,
        source: ContextSource,
        store: EvidenceStore,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._store = store
        self._telemetry = telemetry
        self._clock = clock

    async def keep(self, plan: ContextPlan) -> tuple[KeptFile, ...]:
        """The files that are kept; what could not be had is told in the file's place."""
        try:
            told = await self._source.read(plan)
        except WorldError as error:
            self._telemetry.captured(FileKind.CONTEXT.value, "failed")
            return (self._failed(plan, FileKind.CONTEXT, f"Unavailable: {error}"),)
        contents = (
            (FileKind.CONTEXT, to_json(told.context)),
            (FileKind.LOG, told.log),
            (FileKind.PREVIOUS_LOG, told.previous_log),
        )
        return tuple([await self._keep(plan, kind, content) for kind, content in contents if content])

    async def _keep(self, plan: ContextPlan, kind: FileKind, content: bytes) -> KeptFile:
        name = f"{plan.label}-{plan.replica}-{plan.container}-{kind}.{kind.suffix}"
        now = self._clock()
        try:
            stored = await asyncio.to_thread(self._store.write, plan.folder, name, content, now)
        except EvidenceRefused as refused:
            self._telemetry.captured(kind.value, "failed")
            return self._failed(plan, kind, f"NotStored: {refused}")
        self._telemetry.captured(kind.value, "kept")
        return KeptFile(
            kind=kind,
            label=plan.label,
            replica=plan.replica,
            container=plan.container,
            captured_at=now,
            uri=stored.uri,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )

    def _failed(self, plan: ContextPlan, kind: FileKind, failure: str) -> KeptFile:
        return KeptFile(
            kind=kind,
            label=plan.label,
            replica=plan.replica,
            container=plan.container,
            captured_at=self._clock(),
            failure=failure[:512],
        )
