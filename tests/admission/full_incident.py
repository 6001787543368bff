"""Incidents with every field that an incident can have, and with as few as possible."""

from datetime import UTC, datetime, timedelta

from controller.decision.outcome import Hold, HoldReason
from controller.detection.assessment import GrowthClass, Verdict
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.workload import Platform, WorkloadRef
from controller.metrics.service_level import ServiceLevel
from controller.remediation.order import Mechanism, Order, Receipt, ReceiptOutcome
from controller.reporting.incident import (
    AssessmentRecord,
    DiagnosisRecord,
    Incident,
    IncidentSpec,
    IncidentStatus,
    LeakingRun,
    LikelyCause,
    Notified,
    Phase,
    PolicyRef,
    Retainer,
    TimelineEntry,
)
from controller.verification.recovery import Recovery, RecoveryOutcome

OPENED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKLOAD = WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api")
SPEC = IncidentSpec(
    policy=PolicyRef(namespace="shop", name="web", uid="p-1", generation=3),
    workload=WORKLOAD,
    workload_uid="w-1",
    opened_at=OPENED_AT,
)


def minutes(count: int) -> datetime:
    return OPENED_AT + timedelta(minutes=count)


def a_new_incident() -> Incident:
    return Incident(name="api-new", namespace="shop", spec=SPEC, status=IncidentStatus())


def a_full_incident() -> Incident:
    assessment = AssessmentRecord(
        verdict=Verdict.LEAKING,
        reason="SteadyGrowth",
        message="container app grows 38 MiB/h",
        growth_class=GrowthClass.HEAP,
        at=minutes(1),
        replica="api-7d9f-x2k",
        container="app",
        replicas=3,
        leaking_replicas=2,
        onset=minutes(-60),
        used_bytes=90 << 20,
        limit_bytes=128 << 20,
        threshold_bytes=89 << 20,
        young_floor_bytes=20 << 20,
        started_at=minutes(-600),
        growth_bytes_per_hour=38 << 20,
        growth_low_bytes_per_hour=30 << 20,
        growth_high_bytes_per_hour=44 << 20,
        crosses_threshold_earliest=minutes(10),
        crosses_threshold_at=minutes(20),
        crosses_threshold_latest=minutes(30),
    )
    evidence = KeptFile(
        kind=FileKind.HEAP,
        label="late",
        replica="api-7d9f-x2k",
        container="app",
        captured_at=minutes(2),
        uri="file:///var/lib/bilgepump/evidence/heap.pb.gz",
        sha256="0" * 64,
        size_bytes=3 << 20,
        failure="nothing",
    )
    order = Order(
        id="api-full",
        mechanism=Mechanism.ROLLING_RESTART,
        workload=WORKLOAD,
        workload_uid="w-1",
        expected_generation=7,
        issued_at=minutes(4),
        memory_before_bytes=90 << 20,
        approved_by="ann@example.com",
        service_before=ServiceLevel(
            window=timedelta(minutes=10),
            rules="0f3c9a",
            requests=5000,
            error_ratio=0.001,
            latency_seconds=0.25,
        ),
    )
    status = IncidentStatus(
        phase=Phase.RESOLVED,
        because="Recovered",
        message="memory fell from 90 MiB to 20 MiB",
        workload_text="Deployment/api",
        growth_text="38 MiB/h",
        assessment=assessment,
        leaking_runs=(LeakingRun(replica="api-7d9f-x2k", container="app", found_at=minutes(1)),),
        evidence=(evidence,),
        diagnosis=DiagnosisRecord(
            summary="response bodies are not closed",
            runtime="go",
            growth_class="heap",
            explained_share=0.93,
            causes=(
                LikelyCause(
                    id="response-body-not-closed",
                    confidence=0.92,
                    function="shop/pricing.(*Client).Fetch",
                    file="pricing.go",
                    line=30,
                    evidence="346 goroutines more",
                ),
            ),
            top_retainers=(
                Retainer(
                    function="net/http.(*persistConn).readLoop",
                    file="transport.go",
                    line=2100,
                    inuse_bytes=40 << 20,
                    delta_bytes=38 << 20,
                    share=0.61,
                ),
            ),
            can_memory_be_freed_by_hand=False,
            freed_by_hand_because="the memory is live",
            meanwhile=("GOMEMLIMIT=115MiB (none is set)",),
        ),
        gates=(Hold(reason=HoldReason.TOO_YOUNG, message="younger than 30m", retry_at=minutes(3)),),
        escalated_because=HoldReason.BUDGET_SPENT,
        order=order,
        receipt=Receipt(outcome=ReceiptOutcome.DONE, at=minutes(4), generation=8),
        rolled_out_at=minutes(6),
        recovery=Recovery(
            outcome=RecoveryOutcome.RECOVERED,
            message="memory came down",
            memory_before_bytes=90 << 20,
            memory_after_bytes=20 << 20,
            service_after=ServiceLevel(
                window=timedelta(minutes=10),
                rules="0f3c9a",
                requests=7,
                unmeasured_because="only 7 requests in 10m",
            ),
        ),
        timeline=(TimelineEntry(at=minutes(0), what="Opened", message="first seen"),),
        report_uri="file:///var/lib/bilgepump/evidence/shop/api-full/report.html",
        reported_at=minutes(16),
        closed_at=minutes(16),
        notifications=(
            Notified(
                receiver="team-shop", through=minutes(16), thread="1772366400.000100", failure="HTTP 404"
            ),
        ),
    )
    return Incident(name="api-full", namespace="shop", spec=SPEC, status=status)
