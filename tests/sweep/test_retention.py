"""Whose evidence stays: of what is open, and of what failed and waits for a person."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.evidence.retention import EvidenceLimits, KeptEntry, expired_folders
from controller.policy.book import PolicyBook
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident, Phase
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention, still_needed
from controller.sweep.situations import SweepLimits
from tests.fakes import NOW, FakeWorld, a_judgement, a_policy, a_workload


def an_incident(name: str, phase: Phase, *, days: float = 0, uid: str = "") -> Incident:
    opened_at = NOW - timedelta(days=days)
    incident = steps.open_incident(a_policy(), a_workload(), a_judgement(), None, opened_at)
    closed_at = NOW if phase in (Phase.RESOLVED, Phase.FAILED) else None
    return replace(
        incident,
        name=name,
        spec=replace(incident.spec, workload_uid=uid or incident.spec.workload_uid),
        status=replace(incident.status, phase=phase, closed_at=closed_at),
    )


def acknowledged(incident: Incident) -> Incident:
    return steps.acknowledged(incident, "looked at", NOW)


LATER = an_incident("api-2", Phase.FAILED, days=1)


@pytest.mark.parametrize(
    ("others", "phase", "needed"),
    [
        ((), Phase.ESCALATED, True),
        ((), Phase.RESOLVED, False),
        ((), Phase.FAILED, True),
        ((LATER,), Phase.FAILED, True),
        ((acknowledged(LATER),), Phase.FAILED, False),
        ((acknowledged(an_incident("api-0", Phase.FAILED, days=9)),), Phase.FAILED, True),
        ((acknowledged(an_incident("cart-1", Phase.FAILED, uid="another")),), Phase.FAILED, True),
    ],
    ids=[
        "open",
        "resolved",
        "failed",
        "failed, as a later one",
        "failed, a later one acknowledged",
        "failed, an earlier one acknowledged",
        "failed, another workload's acknowledged",
    ],
)
def test_evidence_of_what_waits_for_a_person_is_needed(
    others: tuple[Incident, ...], phase: Phase, needed: bool
) -> None:
    incident = an_incident("api-1", phase, days=5)

    assert (incident in still_needed((*others, incident))) is needed


def test_failed_incident_is_needed_until_it_is_acknowledged() -> None:
    assert still_needed([acknowledged(an_incident("api-1", Phase.FAILED))]) == ()


async def test_sweep_says_whose_evidence_is_still_needed_before_anything_is_written() -> None:
    world = FakeWorld(a_workload())
    for phase in (Phase.FAILED, Phase.RESOLVED):
        await world.records.create(an_incident(phase.lower(), phase, days=99))
    assert world.profiler.protected is None

    await Sweeper(world.ports, SweepLimits, Retention()).sweep(PolicyBook(accepted=(a_policy(),)), NOW)

    assert world.profiler.protected == ("shop/failed",)
    old = [KeptEntry(f"shop/{name}", 1, NOW - timedelta(days=99)) for name in ("failed", "resolved")]
    gone = expired_folders(old, EvidenceLimits(), NOW, keep=world.profiler.protected)
    assert gone == ("shop/resolved",)
