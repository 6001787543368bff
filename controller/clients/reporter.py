"""
Writes an incident's report beside its evidence: `report.html`, and `SHA256SUMS` to check the files by.

Where log lines are kept, the page with them is another file, so that it can be kept from those who may read
incidents and not logs.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from controller.clients.diagnostician import EvidenceDiagnostician
from controller.clients.evidence_store import EvidenceStore
from controller.evidence.capture_plan import baseline_of
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import ReplicaContext, from_json, readable
from controller.inventory.workload import Workload
from controller.metrics.series import BlockMatrix
from controller.reporting.html.page import render_report
from controller.reporting.html.report import LogLines
from controller.reporting.incident import Incident
from controller.reporting.incident_report import incident_report
from controller.reporting.memory_history import memory_history

logger = logging.getLogger(__name__)

REPORT = "report.html"
REPORT_WITH_LOGS = "report-with-logs.html"
CHECKSUMS = "SHA256SUMS"
"""What `sha256sum --check` reads."""

_BASELINE = "baseline-"
_LOGS = {
    FileKind.LOG: "Last log lines",
    FileKind.PREVIOUS_LOG: "Last log lines before the container restarted",
}


def holds_log_lines(name: str) -> bool:
    """Whether a file of an incident holds log lines, by its name."""
    return name == REPORT_WITH_LOGS or name.endswith(tuple(f"-{kind}.txt" for kind in _LOGS))


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
            context=self._context(incident),
            now=now,
        )
        if logs := self._logs(incident):
            whole = replace(report, logs=logs)
            self._store.write(folder, REPORT_WITH_LOGS, render_report(whole).encode(), now)
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
            [
                one
                for one in incident.status.evidence
                if not assessment or one.container == assessment.container
            ],
            incident.folder,
            rss_bytes=assessment.used_bytes if assessment else None,
            limit_bytes=assessment.limit_bytes if assessment else None,
        )
        return outcome if isinstance(outcome, Diagnosis) else None

    def _context(self, incident: Incident) -> ReplicaContext | None:
        """What the platform told last."""
        kept = [one for one in incident.status.evidence if one.kind is FileKind.CONTEXT and one.uri]
        content = self._store.content(kept[-1].uri) if kept else None
        return from_json(content) if content else None

    def _logs(self, incident: Incident) -> tuple[LogLines, ...]:
        """The newest of each kind."""
        newest = {one.kind: one for one in incident.status.evidence if one.kind in _LOGS and one.uri}
        contents = ((one, self._store.content(one.uri)) for one in newest.values())
        return tuple(
            LogLines(title=_LOGS[one.kind], replica=one.replica, text=readable(content))
            for one, content in contents
            if content
        )

    def _baseline_files(self, incident: Incident) -> tuple[KeptFile, ...]:
        """The copies, as far as they are: `baseline-<replica>-<container>-<kind>.<suffix>`."""
        container = incident.status.assessment.container if incident.status.assessment else ""
        names = (name for name in self._store.names(incident.folder) if name.startswith(_BASELINE))
        return tuple(self._kept(incident.folder, name, container) for name in names)

    def _kept(self, folder: str, name: str, container: str) -> KeptFile:
        stored = self._store.describe(folder, name)
        assert stored is not None  # noqa: S101  (it was listed just now; what is pruned meanwhile is logged)
        origin, _, kind = name.rpartition("-")
        return KeptFile(
            kind=FileKind(kind.partition(".")[0]),
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
