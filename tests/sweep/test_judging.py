"""What is judged where a part of what was asked for is not known."""

from dataclasses import replace
from datetime import datetime

from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.memory_policy import MemoryPolicy, RequestRate
from controller.ports import MemoryRequest
from controller.sweep.judging import Covered, gather, judge_all
from tests.fakes import FakeWorld, a_workload
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
