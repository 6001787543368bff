"""Takes what a replica offers and keeps it: heap, goroutines, leaked goroutines, MemStats, metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from controller.clients.evidence_store import EvidenceRefused, EvidenceStore
from controller.clients.pprof import Capture, CapturedProfile, CaptureFailed, CaptureFailure, PprofClient
from controller.evidence.capture_plan import CapturePlan
from controller.evidence.endpoint import PprofEndpoint
from controller.evidence.kept import FileKind, KeptFile
from controller.ports import Telemetry

_NO_PPROF = frozenset({CaptureFailure.NOT_OFFERED, CaptureFailure.NOT_A_PROFILE})
_OPTIONAL = frozenset({FileKind.GOROUTINE_LEAK, FileKind.MEMORY, FileKind.METRICS})
"""Left out in silence where a replica does not offer them: nobody is asked to."""
_Take = Callable[[PprofEndpoint], Awaitable[Capture]]


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

        One after another, so that a replica near its limit is asked for one thing at a time.
        """
        heap = await self._client.heap(plan.endpoint, collect_first=plan.collect_first)
        kept = [await self._keep(plan, heap)]
        for take in self._takes_after(plan, heap):
            answer = await take(plan.endpoint)
            if not _is_left_out(answer):
                kept.append(await self._keep(plan, answer))
        return tuple(kept)

    def _takes_after(self, plan: CapturePlan, heap: Capture) -> tuple[_Take, ...]:
        """
        What else to ask for. A program without pprof (a JVM, say) has its own metrics at best; a baseline
        whose heap profile failed for a while is left for another time, for what is kept is not tried again.
        """
        client = self._client
        if isinstance(heap, CaptureFailed):
            if heap.reason in _NO_PPROF:
                return (client.runtime_metrics,)
            if plan.is_baseline:
                return ()
        return (client.goroutines, client.leaked_goroutines, client.memory, client.runtime_metrics)

    async def holds(self, folder: str) -> bool:
        """Whether anything is kept in `folder`. Raises EvidenceUnavailable."""
        return bool(await asyncio.to_thread(self._store.names, folder))

    def protect(self, folders: Collection[str], /) -> None:
        """Says which folders people still need, in place of those said before."""
        self._store.protect(folders)

    async def _keep(self, plan: CapturePlan, answer: Capture) -> KeptFile:
        if isinstance(answer, CapturedProfile):
            kept = await self._store_file(plan, answer)
        else:
            kept = _failed(plan, answer.kind, f"{answer.reason}: {answer.message}", self._clock())
        self._telemetry.captured(kept.kind.value, "kept" if kept.uri else "failed")
        return kept

    async def _store_file(self, plan: CapturePlan, answer: CapturedProfile) -> KeptFile:
        kind = answer.kind
        name = f"{plan.label}-{plan.replica}-{plan.container}-{kind}.{kind.suffix}"
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


def _is_left_out(answer: Capture) -> bool:
    return (
        isinstance(answer, CaptureFailed)
        and answer.reason is CaptureFailure.NOT_OFFERED
        and answer.kind in _OPTIONAL
    )


def _failed(plan: CapturePlan, kind: FileKind, failure: str, at: datetime) -> KeptFile:
    return KeptFile(
        kind=kind,
        label=plan.label,
        replica=plan.replica,
        container=plan.container,
        captured_at=at,
        failure=failure[:512],
    )
