"""Restarts of Argo Rollouts against a real API server and Argo's own controller; only the node is played."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import RolloutState, Workload
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import KubernetesApi
from controller.ports import RemediationRefused
from controller.remediation.order import Order, ReceiptOutcome, order_remediation
from controller.verification.recovery import rolled_out
from tests.cluster.argo_rollouts import argo_rollouts
from tests.cluster.cluster import Cluster
from tests.platforms.kubernetes.played_node import Node

# Argo's controller takes minutes to build, once.
pytestmark = [pytest.mark.apiserver, pytest.mark.long, pytest.mark.timeout(1800)]

INCIDENT = "rollout-0a1b2c3d4e"


@pytest.fixture(scope="module")
def argo(apiserver: Cluster) -> Iterator[Cluster]:
    with argo_rollouts(apiserver):
        yield apiserver


@pytest.fixture
async def rollout(argo: Cluster, namespace: str, api: KubernetesApi) -> Node:
    return await Node.of_three(api, namespace, "Rollout")


async def steady(node: Node) -> Workload:
    """The workload, once Argo's controller says that it stands still."""
    async with asyncio.timeout(60):
        while (found := await node.workload()).rollout is not RolloutState.STEADY:
            await node.play()
    return found


async def restart(node: Node) -> Order:
    """An order for all replicas, given after the second in which they were made."""
    workload = await steady(node)
    youngest = max(one.created_at for one in workload.replicas)
    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
    now = max(datetime.now(UTC), youngest + timedelta(seconds=1))
    return order_remediation(workload, choice, incident=INCIDENT, memory_before_bytes=1, now=now)


async def until_rolled_out(node: Node, order: Order) -> list[int]:
    """Plays the node until every replica is new; how many were ready at each look."""
    ready: list[int] = []
    async with asyncio.timeout(180):
        while not rolled_out(found := await node.workload(), order):
            ready.append(found.serving_replicas)
            await node.play()
            await asyncio.sleep(0.1)
    return ready


async def revisions(node: Node) -> set[str]:
    sets = await node.api.items(paths.in_namespace(paths.APPS, node.namespace, "replicasets"))
    return {one["metadata"]["uid"] for one in sets}


async def test_every_pod_is_new_and_of_the_same_revision_after_one_order(rollout: Node) -> None:
    order = await restart(rollout)
    before, sets = await rollout.workload(), await revisions(rollout)
    assert await rollout.remediator.find(order) is None

    assert (await rollout.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE
    assert (await rollout.workload()).rollout is RolloutState.PROGRESSING
    ready = await until_rolled_out(rollout, order)

    after = await rollout.workload()
    assert {one.uid for one in after.replicas}.isdisjoint(one.uid for one in before.replicas)
    assert await revisions(rollout) == sets
    assert after.template_revision == before.template_revision
    assert min(ready) >= 2
    assert after.remediated_at == order.issued_at
    # A second order of the same incident finds the first.
    assert (await rollout.remediator.carry_out(order)).outcome is ReceiptOutcome.ALREADY_DONE
    assert await rollout.remediator.find(order) is not None
    assert {one.uid for one in (await rollout.workload()).replicas} == {one.uid for one in after.replicas}


async def test_restart_writes_one_field_and_one_annotation(rollout: Node) -> None:
    order = await restart(rollout)
    before = await rollout.api.get(paths.of_workload(rollout.ref))

    await rollout.remediator.carry_out(order)

    after = await rollout.api.get(paths.of_workload(rollout.ref))
    assert after["spec"] == {**before["spec"], "restartAt": order.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    annotations = before["metadata"]["annotations"]
    assert after["metadata"]["annotations"] == {**annotations, "bilgepump.dev/incident": INCIDENT}
    assert after["metadata"].get("labels") == before["metadata"].get("labels")


async def change_template(node: Node, version: str) -> None:
    patch: dict[str, Any] = {"spec": {"template": {"metadata": {"annotations": {"version": version}}}}}
    await node.api.patch(paths.of_workload(node.ref), patch)


async def test_canary_at_a_step_is_paused_and_an_order_from_before_it_is_void(rollout: Node) -> None:
    order = await restart(rollout)
    await change_template(rollout, "2")

    with pytest.raises(RemediationRefused, match="changed since it was judged"):
        await rollout.remediator.carry_out(order)
    async with asyncio.timeout(60):
        while (found := await rollout.workload()).rollout is not RolloutState.PAUSED:
            assert found.rollout is RolloutState.PROGRESSING
            await rollout.play()
            await asyncio.sleep(0.1)
    assert "CanaryPauseStep" in found.rollout_message


async def test_single_pod_is_evicted_and_replaced(rollout: Node) -> None:
    await steady(rollout)
    order = await rollout.order(Mechanism.EVICT, 1)
    before = {one.uid for one in (await rollout.workload()).replicas}

    assert (await rollout.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE
    await until_rolled_out(rollout, order)

    after = {one.uid for one in (await rollout.workload()).replicas}
    assert len(after & before) == 2


async def test_budget_that_allows_nothing_is_seen_before_argo_meets_it(
    argo: Cluster, namespace: str, api: KubernetesApi
) -> None:
    node = await Node.of_three(api, namespace, "Rollout", minAvailable=3)
    found = await steady(node)
    assert [one.disruptions_allowed for one in found.disruption_budgets] == [0]


async def test_template_in_a_deployment_is_followed(
    argo: Cluster, namespace: str, api: KubernetesApi
) -> None:
    deployment = await Node.of_three(api, namespace, "Deployment")
    rollout = Node(api, namespace, "Rollout")
    reference = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment.app,
        "scaleDown": "onsuccess",
    }
    spec = {"replicas": 3, "workloadRef": reference, "strategy": {"canary": {"maxUnavailable": 1}}}
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": rollout.app},
        "spec": spec,
    }
    await api.create(paths.of_kind("Rollout", namespace), document)

    found = await steady(rollout)

    assert (found.desired_replicas, len(found.replicas), found.unread) == (3, 3, ())
    assert all(replica.revision == found.template_revision for replica in found.replicas)
    order = await restart(rollout)
    await rollout.remediator.carry_out(order)
    await until_rolled_out(rollout, order)
