"""What people ask for by hand goes the controller's own way: gates, one order, one incident."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.inventory.request import Request, RequestKind
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import MemoryPolicy, Mode
from controller.reporting.incident import Phase
from tests.fakes import MIB, NOW, REF, FakeWorld, a_workload
from tests.sweep.test_flow import a_leaking_world, a_quick_policy, a_sweeper, sweep_for

RESTART = Request(kind=RequestKind.RESTART, at=NOW, who="jane", why="before the sale")
CAPTURE = Request(kind=RequestKind.CAPTURE, at=NOW, who="jane", why="after the load test")


def a_healthy_world(*requests: Request, **changes: Any) -> FakeWorld:
    world = FakeWorld(a_workload(requests=requests, **changes))
    for pod in ("api-1", "api-2"):
        world.memory.levels[ContainerKey("shop", pod, "app")] = (
            NOW - timedelta(hours=20),
            [100 * MIB, 100 * MIB],
        )
    return world


def timeline(world: FakeWorld) -> list[str]:
    return [entry.what for entry in world.records.only.status.timeline]


async def swept(world: FakeWorld, sweeps: int = 1, policy: MemoryPolicy | None = None) -> None:
    await sweep_for(world, a_sweeper(world), policy or a_quick_policy(), sweeps=sweeps)


async def test_healthy_workload_is_restarted_once_because_it_was_asked_for() -> None:
    world = a_healthy_world(RESTART)
    await swept(world, sweeps=15)
    assert len(world.remediator.carried_out) == 1
    incident = world.records.only
    assert incident.status.phase is Phase.RESOLVED
    assert timeline(world)[:4] == ["Healthy", "RestartRequested", "ProfilesKept", "RestartOrdered"]
    assert RESTART.text in [entry.message for entry in incident.status.timeline]
    assert "RequestReceived" in world.announcer.reasons


async def test_nothing_is_done_without_a_request() -> None:
    world = a_healthy_world()
    await swept(world, sweeps=3)
    assert not world.records.stored
    assert not world.remediator.carried_out


async def test_leak_that_is_far_from_the_line_is_not_waited_for() -> None:
    world = a_leaking_world()
    for key, (since, _) in list(world.memory.levels.items()):
        world.memory.levels[key] = (since, [60 * MIB, 200 * MIB])
    workload = world.inventory.standing[REF]
    await swept(world, sweeps=2)
    assert not world.remediator.carried_out
    asked = replace(RESTART, at=world.clock.now)
    world.inventory.standing[REF] = replace(workload, requests=(asked,))
    await swept(world)
    assert len(world.remediator.carried_out) == 1


@pytest.mark.parametrize(
    ("changes", "policy", "because"),
    [
        ({"paused_by": "joe: not now"}, {}, "WorkloadPaused"),
        ({}, {"mode": Mode.CAPTURE}, "CaptureOnly"),
        ({}, {"mode": Mode.OBSERVE}, "ObserveOnly"),
        ({}, {"suspend": True}, "PolicySuspended"),
        ({"ready_replicas": 1}, {}, "ReplicasNotReady"),
        ({"protected_because": "it is the controller"}, {}, "Protected"),
    ],
)
async def test_every_gate_is_asked_as_ever(
    changes: dict[str, Any], policy: dict[str, Any], because: str
) -> None:
    world = a_healthy_world(RESTART, **changes)
    await swept(world, sweeps=3, policy=a_quick_policy(**policy))
    assert not world.remediator.carried_out
    assert world.records.only.status.because == because
    assert timeline(world).count("RestartRequested") == 1


async def test_held_request_is_done_when_the_gate_opens_within_the_hour() -> None:
    world = a_healthy_world(RESTART, paused_by="joe: not now")
    await swept(world, sweeps=5)
    world.inventory.standing[REF] = replace(world.inventory.standing[REF], paused_by="")
    await swept(world)
    assert len(world.remediator.carried_out) == 1


async def test_each_request_is_answered_anew_by_the_gate_that_held_the_last_one() -> None:
    world = a_healthy_world(RESTART, paused_by="joe: not now")
    await swept(world, sweeps=2)
    again = replace(RESTART, at=world.clock.now)
    world.inventory.standing[REF] = replace(world.inventory.standing[REF], requests=(again,))
    await swept(world)
    assert timeline(world)[-2:] == ["RestartRequested", "WorkloadPaused"]
    assert world.records.only.status.because == "WorkloadPaused"


async def test_held_request_is_over_after_an_hour() -> None:
    world = a_healthy_world(RESTART, paused_by="joe: not now")
    await swept(world, sweeps=2)
    world.clock.pass_time(timedelta(hours=1))
    world.inventory.standing[REF] = replace(world.inventory.standing[REF], paused_by="")
    await swept(world, sweeps=3)
    assert not world.remediator.carried_out


async def test_restarted_controller_does_not_do_it_again() -> None:
    world = a_healthy_world(RESTART)
    for _ in range(15):
        await swept(world)
    assert len(world.remediator.carried_out) == 1


def labels(world: FakeWorld) -> Sequence[str]:
    return [plan.label for plan in world.profiler.plans if plan.label != "baseline"]


async def test_profiles_are_taken_once_and_kept_in_an_incident() -> None:
    world = a_healthy_world(CAPTURE)
    await swept(world, sweeps=3)
    assert labels(world) == ["requested-20260302-120000"]
    incident = world.records.only
    assert incident.status.evidence[0].label == "requested-20260302-120000"
    assert not world.remediator.carried_out
    assert incident.open


async def test_incident_of_a_capture_is_closed_when_nothing_grows() -> None:
    world = a_healthy_world(CAPTURE)
    sweeper = a_sweeper(world)
    for _ in range(3):
        await sweep_for(world, sweeper, a_quick_policy(), sweeps=1, every=timedelta(minutes=70))
    assert world.records.only.status.because == "GrowthEnded"


async def test_capture_that_is_not_allowed_says_so_once() -> None:
    world = a_healthy_world(CAPTURE)
    await swept(world, sweeps=3, policy=a_quick_policy(mode=Mode.OBSERVE))
    assert not world.profiler.plans
    file = world.records.only.status.evidence[0]
    assert file.failure.startswith("NotAllowed: ")
    assert world.announcer.reasons.count("HeapProfileFailed") == 1


async def test_acknowledgement_is_noted_once_with_who_and_why() -> None:
    world = a_leaking_world()
    await swept(world, sweeps=2)
    name = world.records.only.name
    world.inventory.standing[REF] = replace(
        world.inventory.standing[REF], acknowledged=name, acknowledged_because="jane: limit raised"
    )
    await swept(world, sweeps=3)
    notes = [entry for entry in world.records.only.status.timeline if entry.what == "Acknowledged"]
    assert [entry.message for entry in notes] == ["jane: limit raised"]
    assert world.announcer.reasons.count("IncidentAcknowledged") == 1


def acknowledged_on_itself(world: FakeWorld) -> None:
    document = world.records.stored[world.records.only.name]
    document["metadata"]["annotations"] = {
        "bilgepump.dev/acknowledged": world.records.only.name,
        "bilgepump.dev/acknowledged-because": "jane: nobody needs it any more",
    }


async def test_incident_whose_workload_is_gone_is_acknowledged_on_itself_once() -> None:
    world = a_leaking_world()
    await swept(world, sweeps=2)
    acknowledged_on_itself(world)
    del world.inventory.standing[REF]
    await swept(world, sweeps=3)
    notes = [entry for entry in world.records.only.status.timeline if entry.what == "Acknowledged"]
    assert [entry.message for entry in notes] == ["jane: nobody needs it any more"]
    assert world.announcer.reasons.count("IncidentAcknowledged") == 1


async def test_while_the_workload_is_there_only_who_may_change_it_acknowledges() -> None:
    world = a_leaking_world()
    await swept(world, sweeps=2)
    acknowledged_on_itself(world)
    await swept(world, sweeps=2)
    assert not world.records.only.acknowledged
