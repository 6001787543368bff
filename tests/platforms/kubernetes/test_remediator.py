"""Replacing pods against a real API server, whose controllers make the pods; their node is played here."""

import asyncio
from dataclasses import replace

import pytest

from controller.decision.mechanism import Mechanism
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import KubernetesApi
from controller.platforms.kubernetes.remediator import KubernetesRemediator
from controller.ports import RemediationRefused
from controller.remediation.order import ReceiptOutcome
from tests.platforms.kubernetes.played_node import Node

pytestmark = pytest.mark.apiserver


@pytest.fixture
async def deployment(namespace: str, api: KubernetesApi) -> Node:
    return await Node.of_three(api, namespace, "Deployment")


@pytest.fixture
async def stateful_set(namespace: str, api: KubernetesApi) -> Node:
    return await Node.of_three(api, namespace, "StatefulSet")


async def test_pod_is_released_and_deleted_only_when_its_replacement_is_ready(deployment: Node) -> None:
    order = await deployment.order(Mechanism.REPLACE, 1)
    (name,) = order.replicas
    revision = (await deployment.workload()).template_revision

    assert await deployment.remediator.find(order) is None
    assert (await deployment.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE

    (orphan,) = [one["metadata"] for one in await deployment.pods() if one["metadata"]["name"] == name]
    assert orphan["labels"] == {"app": "deployment", "bilgepump.dev/incident": order.id}
    assert orphan["annotations"]["bilgepump.dev/released-from"].endswith(f"/{revision}")
    (mine,) = (
        one for one in orphan["managedFields"] if one["manager"] == "bilgepump" and not one.get("subresource")
    )
    assert mine["fieldsV1"]["f:metadata"].keys() == {"f:labels", "f:annotations"}
    assert await deployment.remediator.find(order) is not None

    waiting = await deployment.remediator.carry_out(order)
    assert waiting.outcome is ReceiptOutcome.ALREADY_DONE
    assert "2 of 3 replicas are ready without it" in waiting.waits_for
    assert {one.name for one in (await deployment.workload()).replicas} >= {name}

    await deployment.settle(ready=4)
    assert (await deployment.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE
    await deployment.settle()
    after = await deployment.workload()
    assert name not in {one.name for one in after.replicas}
    assert after.serving_replicas == 3
    assert after.generation == order.expected_generation
    assert (await deployment.remediator.carry_out(order)).waits_for == ""
    assert [budget.disruptions_allowed for budget in after.disruption_budgets] == [1]


async def test_second_pod_waits_for_the_first(deployment: Node) -> None:
    order = await deployment.order(Mechanism.REPLACE, 0, 1)

    await deployment.remediator.carry_out(order)
    for _ in range(3):
        await deployment.remediator.carry_out(order)

    assert await deployment.marked() == 1


async def test_who_no_longer_leads_releases_nothing(deployment: Node) -> None:
    order = await deployment.order(Mechanism.REPLACE, 0)
    deployment.leads = False

    with pytest.raises(RemediationRefused, match="does not lead"):
        await deployment.remediator.carry_out(order)

    assert await deployment.marked() == 0


@pytest.mark.parametrize("mechanism", [Mechanism.REPLACE, Mechanism.ROLLING_RESTART])
async def test_who_was_slower_than_another_process_finds_its_act(
    deployment: Node, mechanism: Mechanism
) -> None:
    """Both were allowed to: the first one was stopped just before its act, and is woken in the midst."""
    order = await deployment.order(mechanism, *([0] if mechanism is Mechanism.REPLACE else []))

    async def while_another_acts() -> bool:
        await deployment.remediator.carry_out(order)
        return True

    late = KubernetesRemediator(deployment.api, deployment.inventory, while_another_acts)
    receipt = await late.carry_out(order)

    assert receipt.outcome is ReceiptOutcome.ALREADY_DONE


async def test_workload_of_the_same_name_is_left_alone(deployment: Node) -> None:
    order = replace(await deployment.order(Mechanism.REPLACE, 0), workload_uid="another")

    with pytest.raises(RemediationRefused, match="no longer the one"):
        await deployment.remediator.carry_out(order)


async def test_orphan_nobody_finishes_is_given_back_while_its_replacement_is_not_ready(
    deployment: Node,
) -> None:
    order = await deployment.order(Mechanism.REPLACE, 0)
    await deployment.remediator.carry_out(order)
    async with asyncio.timeout(30):
        while len(await deployment.pods()) < 4:  # noqa: ASYNC110  (as above)
            await asyncio.sleep(0.1)
    assert await deployment.remediator.tidy({order.id}) == ()

    (leftover,) = await deployment.remediator.tidy(set())

    assert (leftover.replica, leftover.returned) == (order.replicas[0], True)
    await deployment.settle()
    assert order.replicas[0] in {pod["metadata"]["name"] for pod in await deployment.pods()}
    assert all("pod-template-hash" in pod["metadata"]["labels"] for pod in await deployment.pods())
    assert await deployment.marked() == 0


async def test_orphan_nobody_finishes_is_deleted_when_its_replacement_is_ready(deployment: Node) -> None:
    order = await deployment.order(Mechanism.REPLACE, 0)
    await deployment.remediator.carry_out(order)
    await deployment.settle(ready=4)

    (leftover,) = await deployment.remediator.tidy(set())

    assert (leftover.replica, leftover.returned) == (order.replicas[0], False)
    await deployment.settle()
    assert await deployment.remediator.tidy(set()) == ()


async def test_orphan_of_a_workload_that_is_gone_is_deleted(deployment: Node) -> None:
    order = await deployment.order(Mechanism.REPLACE, 0)
    await deployment.remediator.carry_out(order)
    await deployment.api.delete(paths.of_workload(deployment.ref))

    (leftover,) = await deployment.remediator.tidy(set())

    assert not leftover.returned


async def test_statefulset_is_evicted_one_ordinal_at_a_time(stateful_set: Node) -> None:
    order = await stateful_set.order(Mechanism.EVICT, 2, 1)
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await stateful_set.pods()}

    assert (await stateful_set.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE
    waiting = await stateful_set.remediator.carry_out(order)
    assert waiting.waits_for
    assert before.items() >= {
        (pod["metadata"]["name"], pod["metadata"]["uid"])
        for pod in await stateful_set.pods()
        if pod["metadata"]["name"] != "statefulset-2"
    }
    await stateful_set.settle()
    assert (await stateful_set.remediator.carry_out(order)).outcome is ReceiptOutcome.DONE
    await stateful_set.settle()

    after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await stateful_set.pods()}
    assert {name for name, uid in after.items() if before[name] == uid} == {"statefulset-0"}
    assert (await stateful_set.remediator.carry_out(order)).outcome is ReceiptOutcome.ALREADY_DONE


async def test_budget_that_allows_nothing_refuses_the_first_step(api: KubernetesApi, namespace: str) -> None:
    node = await Node.of_three(api, namespace, "StatefulSet", minAvailable=3)
    order = await node.order(Mechanism.EVICT, 2)

    with pytest.raises(RemediationRefused, match="PodDisruptionBudget statefulset allows no disruption"):
        await node.remediator.carry_out(order)

    assert len(await node.pods()) == 3
