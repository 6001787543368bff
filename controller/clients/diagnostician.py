"""Diagnoses what an incident has kept: baseline, early and late heap, goroutines, MemStats, metrics."""

import asyncio
from collections.abc import Sequence

from controller.clients.analysis_process import AnalysisFailed, analyse_in_child
from controller.clients.evidence_store import EvidenceStore
from controller.evidence.diagnosis import Diagnosis, Evidence
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.summary import summarize
from controller.ports import EvidenceUnavailable
from controller.reporting.incident import DiagnosisRecord, LikelyCause, Retainer

TOP_RETAINERS = 5
MOST_CAUSES = 5
"""So many functions and causes stand in the incident; the report holds the rest."""


class EvidenceDiagnostician:
    """A `ports.Diagnostician` that reads the evidence store and analyses in a limited child process."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    async def diagnose(
        self,
        kept: Sequence[KeptFile],
        baseline_folder: str,
        *,
        rss_bytes: int | None,
        limit_bytes: int | None,
    ) -> DiagnosisRecord | None:
        """
        What the newest capture says against the baseline; None without a heap profile and without metrics.

        A diagnosis that fails is a sentence that says so: it never stands in the way of a remediation.
        """
        try:
            outcome = await asyncio.to_thread(
                self.analyse, kept, baseline_folder, rss_bytes=rss_bytes, limit_bytes=limit_bytes
            )
        except EvidenceUnavailable as error:
            return DiagnosisRecord(summary=f"no diagnosis: {error}")
        return _record(outcome) if outcome else None

    def analyse(
        self,
        kept: Sequence[KeptFile],
        baseline_folder: str,
        *,
        rss_bytes: int | None,
        limit_bytes: int | None,
    ) -> Diagnosis | AnalysisFailed | None:
        """
        The whole diagnosis that `diagnose` makes its record of; blocks while the child process works.

        Raises EvidenceUnavailable.
        """
        newest = _newest(kept, FileKind.HEAP) or _newest(kept, FileKind.METRICS)
        if newest is None:
            return None
        same = [file for file in kept if file.label == newest.label and file.replica == newest.replica]
        earlier = [file for file in kept if file.label != newest.label and file.replica == newest.replica]
        heap, metrics = self._content(same, FileKind.HEAP), self._content(same, FileKind.METRICS)
        if heap is None and metrics is None:
            return None
        before = self._content(earlier, FileKind.HEAP)
        baseline = self._baseline(baseline_folder, newest.container, FileKind.HEAP)

        def first(kind: FileKind) -> bytes | None:
            return self._baseline(baseline_folder, newest.container, kind) or self._content(earlier, kind)

        return analyse_in_child(
            Evidence(
                heap=heap or b"",
                heap_baseline=baseline or before,
                heap_between=before if baseline else None,
                goroutines=self._content(same, FileKind.GOROUTINE),
                goroutines_baseline=first(FileKind.GOROUTINE),
                goroutineleak=self._content(same, FileKind.GOROUTINE_LEAK),
                memstats=self._content(same, FileKind.MEMORY),
                metrics=metrics,
                metrics_baseline=first(FileKind.METRICS),
                rss_bytes=rss_bytes,
                limit_bytes=limit_bytes,
            )
        )

    def _content(self, files: Sequence[KeptFile], kind: FileKind) -> bytes | None:
        uri = next((file.uri for file in files if file.kind is kind and file.uri), "")
        return self._store.content(uri) if uri else None

    def _baseline(self, folder: str, container: str, kind: FileKind) -> bytes | None:
        """The baseline's file of that kind; a folder holds one baseline of a container."""
        names = self._store.names(folder) if folder else ()
        ending = f"-{container}-{kind}.{kind.suffix}"
        name = next((one for one in names if one.startswith("baseline-") and one.endswith(ending)), "")
        return self._store.read(folder, name) if name else None


def _record(outcome: Diagnosis | AnalysisFailed) -> DiagnosisRecord:
    if isinstance(outcome, AnalysisFailed):
        return DiagnosisRecord(summary=f"no diagnosis ({outcome.reason}): {outcome.message}")
    return DiagnosisRecord(
        summary=summarize(outcome),
        runtime=outcome.runtime.value,
        growth_class=outcome.growth_class.value,
        explained_share=round(outcome.explained_share, 3),
        causes=tuple(
            LikelyCause(
                id=one.cause.id,
                confidence=one.confidence,
                function=one.function,
                file=one.file,
                line=one.line,
                evidence=one.evidence,
            )
            for one in outcome.causes[:MOST_CAUSES]
        ),
        top_retainers=tuple(
            Retainer(
                function=one.function,
                file=one.file,
                line=one.line,
                inuse_bytes=int(one.inuse_bytes),
                delta_bytes=int(one.delta_bytes),
                share=round(one.share, 3),
            )
            for one in outcome.retainers[:TOP_RETAINERS]
        ),
        can_memory_be_freed_by_hand=outcome.answers.can_memory_be_freed_by_hand,
        freed_by_hand_because=outcome.answers.freed_by_hand_because,
        meanwhile=outcome.meanwhile,
    )


def _newest(kept: Sequence[KeptFile], kind: FileKind) -> KeptFile | None:
    return next((file for file in reversed(kept) if file.kind is kind and file.uri), None)
