"""
Replaces single pods, one at a time: `Replace` makes before it breaks, `Evict` asks the budgets.

`Replace`: one patch takes the label `pod-template-hash` from the pod, so that its ReplicaSet lets it go and
makes another one, and marks it with the incident's name, so that it can be found whatever happens. It keeps
its other labels: it goes on serving, and its PodDisruptionBudget stays right (with the orphan gone from the
budget's sight it would stay stale, /docs/mechanisms.md). When the replacement is ready it is deleted.

Every request carries the pod's uid, the patch its resourceVersion as well.
"""

from controller.inventory.workload import Replica, Workload
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.reading import INCIDENT, RELEASED_FROM, TEMPLATE_HASH
from controller.platforms.leading import Confirm, expect_leadership
from controller.ports import RemediationRefused
from controller.remediation.order import Order, Receipt, ReceiptOutcome
from controller.remediation.stepping import Act, Step, begun, next_step

TOO_MANY_REQUESTS = 429
"""What an eviction gets while a PodDisruptionBudget does not allow it."""


class SingleReplicas:
    """Takes one step at a time; which one is decided by `controller.remediation.stepping`."""

    def __init__(self, api: KubernetesApi, inventory: KubernetesInventory, confirm: Confirm) -> None:
        self._api = api
        self._inventory = inventory
        self._confirm = confirm

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order whose effect is to be seen. Raises PlatformUnavailable."""
        workload = await self._inventory.workload(order.workload)
        if workload is None or workload.uid != order.workload_uid or not begun(order, workload):
            return None
        return _receipt(order, workload, ReceiptOutcome.ALREADY_DONE)

    async def carry_out(self, order: Order) -> Receipt:
        """The next step. Raises RemediationRefused, PlatformUnavailable."""
        workload = await self._inventory.workload(order.workload)
        if workload is None or workload.uid != order.workload_uid:
            raise RemediationRefused(f"{order.workload} is no longer the one that was judged")
        step = next_step(order, workload)
        if step.act is Act.WAIT and not begun(order, workload):
            raise RemediationRefused(step.waits_for)
        if step.act in (Act.WAIT, Act.NONE):
            return _receipt(order, workload, ReceiptOutcome.ALREADY_DONE, step.waits_for)
        try:
            await self._take(step, order)
        except ApiRefusal as refusal:
            if refusal.may_be_done:
                raise
            return await self._after_refusal(order, refusal, step)
        return _receipt(order, workload, ReceiptOutcome.DONE)

    async def _after_refusal(self, order: Order, refusal: ApiRefusal, step: Step) -> Receipt:
        """What there is of the order. By a look of now: the refusal may be for what another process did."""
        why = _why_refused(refusal, step)
        workload = await self._inventory.workload(order.workload)
        if workload is None or not begun(order, workload):
            raise RemediationRefused(why) from refusal
        return _receipt(order, workload, ReceiptOutcome.ALREADY_DONE, why)

    async def _take(self, step: Step, order: Order) -> None:
        replica = step.replica
        assert replica is not None  # noqa: S101  (every step but waiting has one)
        pod = paths.in_namespace(paths.CORE, order.workload.namespace, "pods", replica.name)
        if step.act is Act.RELEASE:
            await self._release(pod, replica, order)
            return
        await expect_leadership(self._confirm)
        if step.act is Act.EVICT:
            await self._api.create(f"{pod}/eviction", _eviction(order, replica))
        else:
            await self._api.delete(pod, uid=replica.uid)

    async def _release(self, path: str, replica: Replica, order: Order) -> None:
        document = await self._pod(order, replica)
        patch = _release(document, order)
        # Once as a rehearsal: admission that would refuse it refuses it before anything is done.
        await self._api.patch(path, patch, dryRun="All")
        await expect_leadership(self._confirm)
        await self._api.patch(path, patch)

    async def _pod(self, order: Order, replica: Replica) -> Document:
        """The pod as it is now. Raises RemediationRefused where another bears its name, or none."""
        pods = paths.in_namespace(paths.CORE, order.workload.namespace, "pods")
        found = await self._api.items(pods, fieldSelector=f"metadata.name={replica.name}")
        same = [pod for pod in found if pod["metadata"]["uid"] == replica.uid]
        if not same or TEMPLATE_HASH not in (same[0]["metadata"].get("labels") or {}):
            raise RemediationRefused(f"pod {replica.name} is no longer its workload's")
        return same[0]


def _release(pod: Document, order: Order) -> Document:
    metadata = pod["metadata"]
    template_hash = metadata["labels"][TEMPLATE_HASH]
    whence = f"{order.workload.kind}/{order.workload.name}/{order.workload_uid}/{template_hash}"
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "labels": {TEMPLATE_HASH: None, INCIDENT: order.id},
            "annotations": {RELEASED_FROM: whence},
        }
    }


def _eviction(order: Order, replica: Replica) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": replica.name, "namespace": order.workload.namespace},
        "deleteOptions": {"preconditions": {"uid": replica.uid}},
    }


def _why_refused(refusal: ApiRefusal, step: Step) -> str:
    name = step.replica.name if step.replica else ""
    if refusal.status == TOO_MANY_REQUESTS:
        return f"{name} may not be evicted now: {refusal}"
    return f"{step.act} of {name}: {refusal}"


def _receipt(order: Order, workload: Workload, outcome: ReceiptOutcome, waits_for: str = "") -> Receipt:
    return Receipt(
        outcome=outcome,
        at=order.issued_at,
        generation=workload.generation,
        waits_for=waits_for,
    )
