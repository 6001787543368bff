"""What is judged where a part of what was asked for is not known."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from controller.detection.reasons import AssessmentReason
from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.memory_policy import MemoryPolicy, RequestRate
from controller.ports import MemoryRequest
from controller.sweep.judging import Covered, _Kinds, gather, judge_all
from tests.fakes import MIB, NOW, FakeWorld, a_replica, a_workload
from tests.sweep.test_flow import a_leaking_world
from tests.sweep.worlds import a_quick_policy

RATE = RequestRate(metric="requests_total")


def a_policy_with_a_rate() -> MemoryPolicy:
    policy = a_quick_policy()
    return replace(policy, metrics=replace(policy.metrics, request_rate=RATE))


async def test_history_without_the_request_rate_that_is_wanted_is_no_history() -> None:
    """Judged over ten days of memory and two of requests, load that grows would be a leak."""
    world = a_leaking_world()
    world.memory.keeps_history = True
    memory, policy = world.memory.memory, a_policy_with_a_rate()

    async def without_the_old_rate(request: MemoryRequest, now: datetime) -> BlockMatrix:
        old = request.lookback > policy.detection.lookback
        return replace(await memory(request, now), rate_unknown={"shop": "too slow"} if old else {})

    world.memory.memory = without_the_old_rate  # type: ignore[method-assign]
    gathered = await gather(world.ports.memory_sources, [Covered(a_workload(), policy)], world.clock.now)

    ((where, known),) = gathered.memory.items()
    assert {key.pod for key in known.keys} == {"api-1", "api-2"}
    assert gathered.history[where].keys == ()
    assert gathered.missing == {}


def _in(world: FakeWorld, namespace: str, policy: MemoryPolicy) -> Covered:
    shop = a_workload()
    for replica in shop.replicas:
        at = world.memory.levels[ContainerKey("shop", replica.name, "app")]
        world.memory.levels[ContainerKey(namespace, replica.name, "app")] = at
    workload = replace(shop, ref=replace(shop.ref, namespace=namespace), uid=namespace)
    return Covered(workload, replace(policy, namespace=namespace))


async def test_request_rate_that_is_unknown_in_one_namespace_of_a_cluster_policy_holds_only_that_one() -> (
    None
):
    world = a_leaking_world()
    memory, policy = world.memory.memory, a_policy_with_a_rate()
    cluster_wide = replace(policy, namespace_selector=policy.target.selector)
    covered = [_in(world, one, cluster_wide) for one in ("shop", "heavy")]

    async def without_one(request: MemoryRequest, now: datetime) -> BlockMatrix:
        return replace(await memory(request, now), rate_unknown={"heavy": "too slow"})

    world.memory.memory = without_one  # type: ignore[method-assign]
    gathered = await gather(world.ports.memory_sources, covered, world.clock.now)
    judged = {
        item.workload.ref.namespace: said for item, said in judge_all(covered, gathered, world.clock.now)
    }

    assert judged["shop"] is not None
    assert judged["heavy"] is None
    assert gathered.missing == {cluster_wide.key: "too slow"}


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("api-5d4f6c-qqqqq", AssessmentReason.LEVELLED_OFF_BEFORE),
        ("api-77b9d8-qqqqq", AssessmentReason.STEADY_GROWTH),
    ],
)
async def test_pod_that_is_gone_speaks_for_its_template_and_for_no_other(
    gone: str, reason: AssessmentReason
) -> None:
    """It filled up to where the present one is going to, stood there for ten hours, and was replaced."""
    replica = a_replica("api-5d4f6c-aaaaa", revision="5d4f6c")
    workload, policy = a_workload(replicas=(replica,)), a_quick_policy()
    world = FakeWorld(workload)
    climbs, filled = [60 * MIB, 352 * MIB], [60 * MIB, 352 * MIB, 353 * MIB, 353 * MIB]
    world.memory.levels = {
        ContainerKey("shop", replica.name, "app"): (NOW - timedelta(hours=20), climbs),
        ContainerKey("shop", gone, "app"): (NOW - timedelta(hours=45), filled),
    }
    gathered = await gather(world.ports.memory_sources, [Covered(workload, policy)], NOW)
    ((where, memory),) = gathered.memory.items()
    ended = {signal: matrix.copy() for signal, matrix in memory.signals.items()}
    for matrix in ended.values():
        matrix[memory.keys.index(ContainerKey("shop", gone, "app")), -12:] = np.nan
    gathered.memory[where] = replace(memory, signals=ended)

    ((_, judgement),) = judge_all([Covered(workload, policy)], gathered, NOW)

    assert judgement is not None
    assert {one.key.pod for one in judgement.assessments} == {replica.name}
    assert judgement.worst.reason is reason


@pytest.mark.parametrize("first", ["api-5d4f6c-aaaaa", "api-5d4f6c-zzzzz"])
async def test_pod_that_has_not_started_takes_nobodys_kind(first: str) -> None:
    """Its image is not known yet: it must not speak for what ran, wherever it stands in the list."""
    runs, waits = (a_replica(name, revision="5d4f6c") for name in ("api-5d4f6c-aaaaa", "api-5d4f6c-zzzzz"))
    waits = replace(waits, containers=tuple(replace(one, image_digest=None) for one in waits.containers))
    replicas = tuple(sorted((runs, waits), key=lambda one: one.name != first))
    kinds = _Kinds()
    for replica in replicas:
        kinds.add(a_workload(replicas=replicas), replica, replica.containers[0])

    gone = kinds.of(ContainerKey("shop", "api-5d4f6c-qqqqq", "app"))

    assert gone is not None
    assert (
        gone
        == kinds.of(ContainerKey("shop", runs.name, "app"))
        != kinds.of(ContainerKey("shop", waits.name, "app"))
    )
