"""A real HTTP server that stands in for a vendor: it keeps what it was sent and answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from controller.clients.notifications.settings import NotificationSettings
from controller.detection.assessment import GrowthClass, Verdict
from controller.inventory.workload import Platform, WorkloadRef
from controller.reporting.incident import (
    AssessmentRecord,
    DiagnosisRecord,
    Incident,
    IncidentSpec,
    IncidentStatus,
    Phase,
    PolicyRef,
    TimelineEntry,
)
from controller.reporting.messages import Message, due_messages

NOW = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
MIB = 2**20


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Vendor:
    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """Given in turn; the last one again and again."""

    def answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def vendor(*answers: Answer) -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, raw))
            status, headers, body = state.answer()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Vendor(f"http://127.0.0.1:{server.server_port}", answers=list(answers) or [(200, {}, b"ok")])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class Counts:
    """A telemetry that only counts notifications."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def notified(self, receiver: str, outcome: str) -> None:
        self.outcomes.append(outcome)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def settings(*receivers: dict[str, Any], **more: Any) -> NotificationSettings:
    return NotificationSettings.model_validate({"cluster": "prod", "receivers": receivers, **more})


def an_incident(
    phase: Phase = Phase.HELD, because: str = "BudgetSpent", *, closed: bool = False, **changes: Any
) -> Incident:
    assessment = AssessmentRecord(
        verdict=Verdict.LEAKING,
        reason="GrowthLasts",
        message="grows 20 MiB/h",
        growth_class=GrowthClass.HEAP,
        at=NOW,
        replica="api-1",
        container="app",
        replicas=2,
        leaking_replicas=1,
        used_bytes=350 * MIB,
        limit_bytes=512 * MIB,
        threshold_bytes=358 * MIB,
        growth_bytes_per_hour=20 * MIB,
        crosses_threshold_at=NOW + timedelta(hours=1),
    )
    status = IncidentStatus(
        phase=phase,
        because=because,
        message="3 of 3 remediations in 24 h are spent, <b> & *more*",
        growth_text="20 MiB/h",
        assessment=assessment,
        diagnosis=DiagnosisRecord(summary="main.keep holds 90 % of the growth"),
        timeline=(
            TimelineEntry(at=NOW - timedelta(minutes=2), what="Leaking", message="grows 20 MiB/h"),
            TimelineEntry(at=NOW - timedelta(minutes=1), what=because, message="so it is"),
        ),
        closed_at=NOW if closed else None,
        **changes,
    )
    return Incident(
        name="api-3f2a91c0de",
        namespace="shop",
        uid="4a3c",
        spec=IncidentSpec(
            policy=PolicyRef(namespace="shop", name="api", uid="p", generation=1),
            workload=WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api"),
            workload_uid="w",
            opened_at=NOW - timedelta(minutes=2),
        ),
        status=status,
    )


def a_message(configured: NotificationSettings, incident: Incident | None = None) -> Message:
    (message,) = due_messages(
        incident or an_incident(), configured.flat_routes, {}, configured.maximum_age, NOW
    )
    return message
