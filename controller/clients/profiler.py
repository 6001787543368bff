"""Takes what a replica offers and keeps it: heap, goroutines, leaked goroutines, MemStats."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

from controller.clients.evidence_store import EvidenceRefused, EvidenceStore
from controller.clients.pprof import Capture, CapturedProfile, CaptureFailed, CaptureFailure, PprofClient
from controller.evidence.capture_plan import CapturePlan
from controller.evidence.kept import FileKind, KeptFile
from controller.ports import Telemetry

_SUFFIX = {FileKind.MEMORY: "json"}


class PprofProfiler:
    """A `ports.Profiler` over pprof and the evidence store."""

    def __init__(
        self,
        client: PprofClient,
        store: EvidenceStore,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._store = store
        self._telemetry = telemetry
        self._clock = clock

    async def capture(self, plan: CapturePlan) -> tuple[KeptFile, ...]:
        """
        Everything the plan could get; what it could not get is told in the file's place.

        One after another, so that a replica near its limit is asked for one thing at a time. The profile of
        leaked goroutines is new in Go and left out in silence where it is not offered.
        """
        kept: list[KeptFile] = []
        for take in (self._heap, self._goroutines, self._leaked_goroutines, self._memory):
            answer = await take(plan)
            if isinstance(answer, CaptureFailed) and _expected(answer):
                continue
            kept.append(await self._keep(plan, answer))
        return tuple(kept)

    async def holds(self, folder: str) -> bool:
        """Whether anything is kept in `folder`. Raises EvidenceUnavailable."""
        return bool(await asyncio.to_thread(self._store.names, folder))

    def protect(self, folders: Collection[str], /) -> None:
        """Says which folders people still need, in place of those said before."""
        self._store.protect(folders)

    async def _heap(self, plan: CapturePlan) -> Capture:
        return await self._client.heap(plan.endpoint, collect_first=plan.collect_first)

    async def _goroutines(self, plan: CapturePlan) -> Capture:
        return await self._client.goroutines(plan.endpoint)

    async def _leaked_goroutines(self, plan: CapturePlan) -> Capture:
        return await self._client.leaked_goroutines(plan.endpoint)

    async def _memory(self, plan: CapturePlan) -> Capture:
        return await self._client.memory(plan.endpoint)

    async def _keep(self, plan: CapturePlan, answer: Capture) -> KeptFile:
        kind = FileKind(answer.kind.value)
        if isinstance(answer, CapturedProfile):
            kept = await self._store_file(plan, kind, answer)
        else:
            kept = _failed(plan, kind, f"{answer.reason}: {answer.message}", self._clock())
        self._telemetry.captured(kind.value, "kept" if kept.uri else "failed")
        return kept

    async def _store_file(self, plan: CapturePlan, kind: FileKind, answer: CapturedProfile) -> KeptFile:
        name = f"{plan.label}-{plan.replica}-{plan.container}-{kind}.{_SUFFIX.get(kind, 'pb.gz')}"
        try:
            stored = await asyncio.to_thread(
                self._store.write, plan.folder, name, answer.content, answer.captured_at
            )
        except EvidenceRefused as refused:
            return _failed(plan, kind, f"NotStored: {refused}", answer.captured_at)
        return KeptFile(
            kind=kind,
            label=plan.label,
            replica=plan.replica,
            container=plan.container,
            captured_at=answer.captured_at,
            uri=stored.uri,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )


def _expected(answer: CaptureFailed) -> bool:
    optional = (FileKind.GOROUTINE_LEAK.value, FileKind.MEMORY.value)
    return answer.reason is CaptureFailure.NOT_OFFERED and answer.kind.value in optional


def _failed(plan: CapturePlan, kind: FileKind, failure: str, at: datetime) -> KeptFile:
    return KeptFile(
        kind=kind,
        label=plan.label,
        replica=plan.replica,
        container=plan.container,
        captured_at=at,
        failure=failure[:512],
    )
