"""
Pods that were released from their ReplicaSet and whose incident nobody finishes any more.

That is so when a replacement never became ready, or when somebody deleted the incident. Where the workload
is whole without the pod, it is deleted, as it would have been; where it is not, it is given back: with its
label `pod-template-hash` again, its ReplicaSet adopts it and gives up the replacement that is not ready.
"""

import logging
from collections.abc import Collection, Sequence

from controller.inventory.workload import Platform, WorkloadRef
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.reading import (
    INCIDENT,
    RELEASED_FROM,
    TEMPLATE_HASH,
    Released,
    owner_of,
    released,
)
from controller.platforms.leading import Confirm, expect_leadership
from controller.ports import WorldError
from controller.remediation.order import Leftover
from controller.remediation.stepping import whole

logger = logging.getLogger(__name__)


class Leftovers:
    """Finds them by their label, in every namespace that may be looked at."""

    def __init__(
        self,
        api: KubernetesApi,
        inventory: KubernetesInventory,
        confirm: Confirm,
        *,
        namespaces: Sequence[str] = (),
    ) -> None:
        """Looks into `namespaces`; into all where it is empty."""
        self._api = api
        self._inventory = inventory
        self._confirm = confirm
        self._namespaces = namespaces

    async def tidy(self, unfinished: Collection[str]) -> tuple[Leftover, ...]:
        """
        Ends those whose incident is not in `unfinished`; one that cannot be ended keeps no other.

        Raises PlatformUnavailable, RemediationRefused where the Lease is lost, each only before anything was
        ended: what was is told, and the next sweep meets the rest.
        """
        ended: list[Leftover] = []
        try:
            for path in self._lists():
                for pod in await self._api.items(path, labelSelector=INCIDENT):
                    marks = released(pod)
                    if marks is None or marks.incident in unfinished or _ending(pod) or owner_of(pod):
                        continue
                    if (leftover := await self._try_to_end(pod, marks)) is not None:
                        ended.append(leftover)
        except WorldError as error:
            if not ended:
                raise
            logger.warning("not all leftovers ended", extra={"why": str(error)})
        return tuple(ended)

    async def _try_to_end(self, pod: Document, marks: Released) -> Leftover | None:
        """None also where the API server refuses: the next sweep tries again."""
        try:
            return await self._end(pod, marks)
        except ApiRefusal as refusal:
            if refusal.status not in (404, 409):
                # Neither gone nor changed meanwhile: somebody may have to do something about it.
                metadata = pod["metadata"]
                where = f"{metadata['namespace']}/{metadata['name']}"
                logger.warning("leftover not ended", extra={"pod": where, "why": str(refusal)})
            return None

    async def _end(self, pod: Document, marks: Released) -> Leftover | None:
        """Deletes it or gives it back; None where neither can be done yet."""
        metadata = pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        ref = WorkloadRef(Platform.KUBERNETES, namespace, marks.kind, marks.workload)
        workload = await self._inventory.workload(ref) if marks.kind in paths.BUILT_IN else None
        dispensable = workload is None or workload.uid != marks.workload_uid or whole(workload)
        if not dispensable and not await self._has_home(namespace, marks):
            return None
        path = paths.in_namespace(paths.CORE, namespace, "pods", name)
        await expect_leadership(self._confirm)
        if dispensable:
            await self._api.delete(path, uid=metadata["uid"])
        else:
            await self._api.patch(path, _give_back(pod, marks))
        return Leftover(
            incident=marks.incident,
            namespace=namespace,
            replica=name,
            replica_uid=metadata["uid"],
            returned=not dispensable,
        )

    async def _has_home(self, namespace: str, marks: Released) -> bool:
        """Whether the ReplicaSet it came from is there and would take it back."""
        sets = paths.in_namespace(paths.APPS, namespace, "replicasets")
        found = await self._api.items(sets, labelSelector=f"{TEMPLATE_HASH}={marks.template_hash}")
        return any(
            owner_of(one) == marks.workload_uid and (one.get("spec") or {}).get("replicas", 0)
            for one in found
        )

    def _lists(self) -> list[str]:
        if not self._namespaces:
            return [f"{paths.CORE}/pods"]
        return [paths.in_namespace(paths.CORE, name, "pods") for name in self._namespaces]


def _ending(pod: Document) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _give_back(pod: Document, marks: Released) -> Document:
    metadata = pod["metadata"]
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "labels": {TEMPLATE_HASH: marks.template_hash, INCIDENT: None},
            "annotations": {RELEASED_FROM: None},
        }
    }
