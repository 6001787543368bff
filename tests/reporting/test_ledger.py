from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.detection.assessment import GrowthClass
from controller.inventory.workload import Workload
from controller.remediation.order import order_remediation
from controller.reporting import incident_steps as steps
from controller.reporting.incident import AssessmentRecord, Incident, Ledger
from controller.reporting.ledger import OOM_HORIZON, settle
from controller.verification.recovery import Recovery, RecoveryOutcome
from tests.fakes import MIB, NOW, a_replica, a_workload
from tests.reporting.test_incident_document import an_incident

HOUR = timedelta(hours=1)
RECOVERED = Recovery(outcome=RecoveryOutcome.RECOVERED, message="came down")
STUCK = Recovery(outcome=RecoveryOutcome.ROLLOUT_STUCK, message="stuck")
FRESH = NOW + timedelta(minutes=1)


def watched(mechanism: Mechanism = Mechanism.ROLLING_RESTART, **assessment: Any) -> Incident:
    """Ordered at NOW and rolled out then; it used 350 MiB of 512 and had grown 10 MiB an hour for 4 h."""
    replicas = () if mechanism is Mechanism.ROLLING_RESTART else ("api-1", "api-2")
    choice = Choice(mechanism=mechanism, because="it leaks", replicas=replicas)
    order = order_remediation(a_workload(), choice, incident="x", memory_before_bytes=350 * MIB, now=NOW)
    incident = steps.ordered(an_incident(), order, "ThresholdNear", choice.because, NOW)
    record = incident.status.assessment
    assert record is not None
    known: dict[str, Any] = {
        "onset": NOW - 4 * HOUR,
        "growth_bytes_per_hour": 12 * MIB,
        "growth_low_bytes_per_hour": 10 * MIB,
    }
    judged: AssessmentRecord = replace(record, **(known | assessment))
    return replace(incident, status=replace(incident.status, assessment=judged, rolled_out_at=NOW))


def renewed(*names: str) -> Workload:
    """Two replicas are desired; those named are new, the others stand as they were."""
    old = [one for one in a_workload().replicas if one.name not in names]
    new = [a_replica(f"{name}-new", uid=f"{name}-new", created_at=FRESH) for name in names]
    return a_workload(replicas=(*old, *new))


def settled(incident: Incident, recovery: Recovery = RECOVERED, workload: Workload | None = None) -> Ledger:
    return settle(incident, recovery, workload, NOW + HOUR / 2)


@pytest.mark.parametrize(
    ("mechanism", "workload", "replaced"),
    [
        pytest.param(Mechanism.ROLLING_RESTART, renewed("api-1", "api-2"), 2, id="all"),
        pytest.param(Mechanism.ROLLING_RESTART, renewed("api-1"), 1, id="stuck halfway"),
        pytest.param(
            Mechanism.ROLLING_RESTART,
            a_workload(replicas=(*a_workload().replicas, a_replica("surge", created_at=FRESH))),
            0,
            id="a surplus replica replaces none",
        ),
        pytest.param(Mechanism.REPLACE, renewed("api-1", "api-2"), 2, id="both that were named"),
        pytest.param(Mechanism.EVICT, renewed("api-2"), 1, id="one of those that were named"),
        pytest.param(Mechanism.REPLACE, None, None, id="not known, the workload is gone"),
    ],
)
def test_replicas_replaced(mechanism: Mechanism, workload: Workload | None, replaced: int | None) -> None:
    assert settled(watched(mechanism), STUCK, workload).replicas_replaced == replaced


FITS = int(OOM_HORIZON / HOUR) * 12 * MIB


@pytest.mark.parametrize(
    ("assessment", "recovery", "avoided"),
    [
        pytest.param({}, RECOVERED, 1, id="limit within a day"),
        pytest.param({"limit_bytes": 350 * MIB + FITS}, RECOVERED, 1, id="limit exactly a day away"),
        pytest.param({"limit_bytes": 350 * MIB + FITS + MIB}, RECOVERED, 0, id="limit farther than a day"),
        pytest.param({"used_bytes": 513 * MIB}, RECOVERED, 1, id="already above"),
        pytest.param(
            {"at": NOW - HOUR, "limit_bytes": 350 * MIB + FITS + 12 * MIB},
            RECOVERED,
            1,
            id="judged an hour before the order",
        ),
        pytest.param({"growth_bytes_per_hour": 0}, RECOVERED, 0, id="no growth"),
        pytest.param({"growth_class": GrowthClass.PAGE_CACHE}, RECOVERED, 0, id="cache is not killed for"),
        pytest.param({}, STUCK, 0, id="no recovery"),
        pytest.param({"limit_bytes": None}, STUCK, 0, id="no recovery, whatever is not known"),
        pytest.param({"limit_bytes": None}, RECOVERED, None, id="no limit is known"),
        pytest.param({"growth_bytes_per_hour": None}, RECOVERED, None, id="no projection"),
    ],
)
def test_oom_kills_avoided(assessment: dict[str, Any], recovery: Recovery, avoided: int | None) -> None:
    assert settled(watched(**assessment), recovery).oom_kills_avoided == avoided


@pytest.mark.parametrize(
    ("assessment", "recovery", "saved"),
    [
        pytest.param({}, RECOVERED, 20 * MIB, id="40 MiB for half an hour"),
        pytest.param({"started_at": NOW - HOUR}, RECOVERED, 5 * MIB, id="started after the onset"),
        pytest.param({"onset": None}, RECOVERED, 100 * MIB, id="without an onset since its start"),
        pytest.param(
            {"young_floor_bytes": 330 * MIB}, RECOVERED, 10 * MIB, id="no more than above its floor"
        ),
        pytest.param({"growth_low_bytes_per_hour": -MIB}, RECOVERED, 0, id="perhaps it did not grow"),
        pytest.param({}, STUCK, 0, id="no recovery"),
        pytest.param({"onset": None, "started_at": None}, RECOVERED, None, id="since when is not known"),
        pytest.param({"growth_low_bytes_per_hour": None}, RECOVERED, None, id="how fast is not known"),
    ],
)
def test_memory_saved(assessment: dict[str, Any], recovery: Recovery, saved: int | None) -> None:
    assert settled(watched(**assessment), recovery).memory_saved_byte_hours == saved


def test_incident_without_an_assessment_claims_nothing() -> None:
    incident = watched()
    unjudged = replace(incident, status=replace(incident.status, assessment=None))

    assert settled(unjudged) == Ledger()
