"""Writes an incident's report beside its evidence: `report.html`, and `SHA256SUMS` to check the files by."""

import asyncio
import logging
from datetime import datetime

from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.evidence_store import EvidenceStore
from controller.evidence.capture_plan import baseline_of
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.workload import Workload
from controller.metrics.series import BlockMatrix
from controller.reporting.html.page import render_report
from controller.reporting.incident import Incident
from controller.reporting.incident_report import incident_report
from controller.reporting.memory_history import memory_history

logger = logging.getLogger(__name__)

REPORT = "report.html"
CHECKSUMS = "SHA256SUMS"
"""What `sha256sum --check` reads."""

_BASELINE = "baseline-"


class EvidenceReporter:
    """A `ports.Reporter` that writes into the evidence store."""

    def __init__(self, store: EvidenceStore, diagnostician: EvidenceDiagnostician) -> None:
        self._store = store
        self._diagnostician = diagnostician

    async def write(
        self, incident: Incident, workload: Workload | None, memory: BlockMatrix | None, now: datetime
    ) -> str:
        """Where the report is; empty where it could not be written."""
        try:
            return await asyncio.to_thread(self._write, incident, workload, memory, now)
        except Exception:
            # Whatever it was: what is done about a leak never depends on the page that tells of it.
            logger.exception("no report", extra={"incident": f"{incident.namespace}/{incident.name}"})
            return ""

    def _write(
        self, incident: Incident, workload: Workload | None, memory: BlockMatrix | None, now: datetime
    ) -> str:
        folder = incident.folder
        if workload is not None:
            self._keep_baseline(incident, workload)
        report = incident_report(
            incident,
            diagnosis=self._diagnosis(incident),
            memory=memory_history(incident, workload, memory),
            baseline=self._baseline_files(incident),
            now=now,
        )
        written = self._store.write(folder, REPORT, render_report(report).encode(), now)
        self._store.write(folder, CHECKSUMS, self._checksums(folder).encode(), now)
        return written.uri

    def _keep_baseline(self, incident: Incident, workload: Workload) -> None:
        """Copies what is compared with beside the rest: the baseline of an image does not stay for ever."""
        newest = next((one for one in reversed(incident.status.evidence) if one.uri), None)
        source = baseline_of(workload, newest.replica, newest.container) if newest else ""
        kept = set(self._store.names(incident.folder))
        for name in self._store.names(source) if source else ():
            if name not in kept:
                self._store.copy(source, name, incident.folder)

    def _diagnosis(self, incident: Incident) -> Diagnosis | None:
        assessment = incident.status.assessment
        outcome = self._diagnostician.analyse(
            incident.status.evidence,
            incident.folder,
            rss_bytes=assessment.used_bytes if assessment else None,
            limit_bytes=assessment.limit_bytes if assessment else None,
        )
        return outcome if isinstance(outcome, Diagnosis) else None

    def _baseline_files(self, incident: Incident) -> tuple[KeptFile, ...]:
        """The copies, as far as they are: `baseline-<replica>-<container>-<kind>.<suffix>`."""
        container = incident.status.assessment.container if incident.status.assessment else ""
        names = (name for name in self._store.names(incident.folder) if name.startswith(_BASELINE))
        return tuple(self._kept(incident.folder, name, container) for name in names)

    def _kept(self, folder: str, name: str, container: str) -> KeptFile:
        stored = self._store.describe(folder, name)
        assert stored is not None  # noqa: S101  (it was listed just now; what is pruned meanwhile is logged)
        origin, _, kind = name.removesuffix(".pb.gz").removesuffix(".json").rpartition("-")
        return KeptFile(
            kind=FileKind(kind),
            label=_BASELINE.rstrip("-"),
            replica=origin.removeprefix(_BASELINE).removesuffix(f"-{container}"),
            container=container,
            captured_at=stored.taken_at,
            uri=stored.uri,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )

    def _checksums(self, folder: str) -> str:
        described = {
            name: stored.sha256
            for name in self._store.names(folder)
            if name != CHECKSUMS and (stored := self._store.describe(folder, name))
        }
        return "".join(f"{sha256}  {name}\n" for name, sha256 in described.items())
