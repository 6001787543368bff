"""
What the controller costs the cluster, while much happens and while nothing does.

These tests come last: for the quiet minute the stories' namespaces are taken down.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.audit import WRITES, AuditEvent
from tests.demo.stage import CONTROLLER_NAMESPACE, REPOSITORY
from tests.e2e.performance import MIB, ON_STAGE, Performance, Stage
from tests.e2e.test_neighbours import NAMES, stay_healthy
from tests.e2e.test_neighbours import NAMESPACE as NEIGHBOURS

pytestmark = ON_STAGE

REPORT: Path = REPOSITORY / "build" / "e2e" / "upkeep.json"
QUIET_SWEEPS = 12
"""A minute, at the five seconds between the sweeps of this stage."""
OURS = f'{{namespace="{CONTROLLER_NAMESPACE}"}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """The cost of a span of time."""

    seconds: float
    rss_mib: float
    cpu_cores: float
    requests_per_minute: float
    writes_per_minute: dict[str, float]


def upkeep(stage: Stage, since: datetime) -> Upkeep:
    """From a time until now."""
    now = datetime.now(UTC)
    seconds = (now - since).total_seconds()
    requests = stage.requests(since)
    written = Counter(event.kind_of_write for event in requests if event.verb in WRITES)
    span = f"{int(seconds)}s"
    return Upkeep(
        seconds=round(seconds),
        rss_mib=round(_value(stage, f"max_over_time(process_resident_memory_bytes{OURS}[{span}])") / MIB, 1),
        cpu_cores=round(_value(stage, f"rate(process_cpu_seconds_total{OURS}[{span}])"), 4),
        requests_per_minute=round(60 * len(requests) / seconds, 1),
        writes_per_minute={kind: round(60 * count / seconds, 2) for kind, count in sorted(written.items())},
    )


def _value(stage: Stage, expression: str) -> float:
    (series,) = stage.prometheus.query(expression)
    return float(series["value"][1])


@pytest.fixture(scope="module")
def busy(performance: Performance) -> Upkeep:
    """While everything leaked and was restarted."""
    performance.wait_for_all()
    return upkeep(performance.stage, performance.since)


@pytest.fixture(scope="module")
def quiet_requests(busy: Upkeep, performance: Performance) -> Sequence[AuditEvent]:
    """A minute's requests beside two healthy services, when all else is gone."""
    performance.seen(stay_healthy)
    stage = performance.stage
    namespaces = [one["metadata"]["name"] for one in stage.cluster.get("/api/v1/namespaces")["items"]]
    struck = [name for name in namespaces if name.startswith("e2e-") and name != NEIGHBOURS]
    stage.cluster.kubectl("delete", "namespace", "--wait=false", *struck)
    for name in struck:
        stage.until(
            f"{name} is gone", lambda name=name: stage.cluster.get(f"/api/v1/namespaces/{name}") is None
        )
    stage.wait_for_sweeps(3)
    since = datetime.now(UTC)
    stage.wait_for_sweeps(QUIET_SWEEPS)
    quiet = upkeep(stage, since)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({"busy": asdict(busy), "quiet": asdict(quiet)}, indent=2))
    return stage.requests(since)


def test_nothing_but_the_lease_is_written_when_nothing_changes(
    quiet_requests: Sequence[AuditEvent], performance: Performance
) -> None:
    for name in NAMES:
        assert performance.stage.uids(NEIGHBOURS, name)
    written = {event.kind_of_write for event in quiet_requests if event.verb in WRITES}
    assert written == {"patch leases.coordination.k8s.io"}


def test_it_is_small(quiet_requests: Sequence[AuditEvent], capsys: pytest.CaptureFixture[str]) -> None:
    measured = json.loads(REPORT.read_text())
    with capsys.disabled():
        print(f"\nupkeep: {json.dumps(measured)}")
    for span in measured.values():
        assert 0 < span["rss_mib"] < 256
        assert span["cpu_cores"] < 0.5
    assert measured["quiet"]["requests_per_minute"] < 600
