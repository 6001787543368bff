"""
Restarts a workload the way `kubectl rollout restart` does, at most once per order.

The pod template gets `kubectl.kubernetes.io/restartedAt` and the incident's name; an Argo Rollout gets
`spec.restartAt`, and the incident's name as its own annotation. The patch carries uid and
resourceVersion, so it applies to exactly the object that was looked at just before, or not at all; and it is
the same patch however often it is sent, since its time is the order's.
"""

from controller.platforms.kubernetes import paths, rollouts
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.platforms.kubernetes.moments import stamp
from controller.platforms.kubernetes.reading import INCIDENT, RESTARTED_AT, restart_marks
from controller.platforms.leading import Confirm, expect_leadership
from controller.ports import RemediationRefused
from controller.remediation.order import Order, Receipt, ReceiptOutcome

ATTEMPTS = 5
"""Status updates move the resourceVersion between look and patch; so often it is looked at again."""


class RollingRestarts:
    """The only place that changes a workload."""

    def __init__(self, api: KubernetesApi, confirm: Confirm) -> None:
        self._api = api
        self._confirm = confirm

    async def find(self, order: Order) -> Receipt | None:
        """The receipt of an order whose mark the workload bears. Raises PlatformUnavailable."""
        document = await self._api.find(paths.of_workload(order.workload))
        if document is None or not _bears_mark(document, order):
            return None
        return _receipt(document, order, ReceiptOutcome.ALREADY_DONE)

    async def carry_out(self, order: Order) -> Receipt:
        """Restarts once. Raises RemediationRefused, PlatformUnavailable."""
        path = paths.of_workload(order.workload)
        for _ in range(ATTEMPTS):
            document = await self._api.find(path)
            if document is None or document["metadata"]["uid"] != order.workload_uid:
                raise RemediationRefused(f"{order.workload} is no longer the one that was judged")
            if _bears_mark(document, order):
                return _receipt(document, order, ReceiptOutcome.ALREADY_DONE)
            _expect_generation(document, order)
            patch = _patch(document, order)
            try:
                # Once as a rehearsal: admission that would refuse it refuses it before anything is done.
                await self._api.patch(path, patch, dryRun="All")
                await expect_leadership(self._confirm)
                return _receipt(await self._api.patch(path, patch), order, ReceiptOutcome.DONE)
            except ApiRefusal as refusal:
                if refusal.may_be_done:
                    raise
                if refusal.status != 409:
                    raise RemediationRefused(str(refusal)) from refusal
        raise RemediationRefused(f"{order.workload} changed at each of {ATTEMPTS} attempts")


def _expect_generation(document: Document, order: Order) -> None:
    generation = document["metadata"].get("generation")
    if generation != order.expected_generation:
        raise RemediationRefused(
            f"{order.workload} changed since it was judged: "
            f"generation {generation}, expected {order.expected_generation}"
        )


def _bears_mark(document: Document, order: Order) -> bool:
    return restart_marks(order.workload.kind, document) == (order.id, order.issued_at)


def _patch(document: Document, order: Order) -> Document:
    metadata, restarted_at = document["metadata"], stamp(order.issued_at)
    same = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    if order.workload.kind == rollouts.KIND:
        return {
            "metadata": {**same, "annotations": {INCIDENT: order.id}},
            "spec": {rollouts.RESTART_AT: restarted_at},
        }
    marks = {RESTARTED_AT: restarted_at, INCIDENT: order.id}
    return {"metadata": same, "spec": {"template": {"metadata": {"annotations": marks}}}}


def _receipt(document: Document, order: Order, outcome: ReceiptOutcome) -> Receipt:
    return Receipt(
        outcome=outcome, at=order.issued_at, generation=int(document["metadata"].get("generation") or 0)
    )
