"""
Leadership by a `coordination.k8s.io` Lease.

kopf's peering pauses by priority and does not fence; a Lease does, together with a fresh look at it just
before acting (`confirm`). Every write carries the resourceVersion of what was read, so of two candidates one
gets a conflict. A leader that could not renew in time stops acting before others may take over.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.platforms.claiming import claim_for_ever
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.platforms.kubernetes.moments import moment
from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)

COORDINATION = "/apis/coordination.k8s.io/v1"

SAFETY_SHARE = 1 / 3
"""Share of the lease's duration that must be left for an act to begin."""


class Lease:
    """One Lease object and this process's claim on it."""

    def __init__(
        self,
        api: KubernetesApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._collection = paths.in_namespace(COORDINATION, namespace, "leases")
        self._path = f"{self._collection}/{name}"
        self._name = name
        self._identity = identity
        self._duration = duration
        self._clock = clock
        self._held_until: datetime | None = None

    @property
    def held(self) -> bool:
        """As far as is known without asking: the claim was renewed and has not run out."""
        return self._held_until is not None and self._clock() < self._held_until

    async def confirm(self) -> bool:
        """A fresh look: True only while it is ours with time to spare. Never raises."""
        try:
            document = await self._api.find(self._path)
        except PlatformUnavailable:
            return False
        if document is None or _holder(document) != self._identity:
            self._held_until = None
            return False
        expires_at = self._expires_at(document)
        return expires_at is not None and expires_at - self._clock() > self._duration * SAFETY_SHARE

    async def keep(self) -> None:
        """Claims and renews for ever, three times per duration; a failure is logged and tried again."""
        await claim_for_ever(self.claim, self._duration / 3, what="lease")

    async def claim(self) -> bool:
        """One attempt to become or stay the holder. Raises PlatformUnavailable."""
        now = self._clock()
        document = await self._api.find(self._path)
        try:
            if document is None:
                await self._api.create(self._collection, self._document(now, None))
            elif not self._free(document, now):
                self._held_until = None
                return False
            else:
                await self._api.patch(self._path, self._document(now, document))
        except ApiRefusal as refusal:
            if refusal.status != 409:
                raise
            self._held_until = None
            return False
        if not self.held:
            logger.info("lease acquired", extra={"lease": self._name, "identity": self._identity})
        self._held_until = now + self._duration
        return True

    async def release(self) -> None:
        """Gives it up, so that another need not wait for its end. Failures do not matter: it runs out."""
        self._held_until = None
        try:
            document = await self._api.find(self._path)
            if document is not None and _holder(document) == self._identity:
                version = document["metadata"]["resourceVersion"]
                body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
                await self._api.patch(self._path, body)
        except PlatformUnavailable as error:
            logger.info("lease not released", extra={"why": str(error)})

    def _free(self, document: Document, now: datetime) -> bool:
        if _holder(document) in ("", self._identity):
            return True
        expires_at = self._expires_at(document)
        return expires_at is None or expires_at < now

    def _expires_at(self, document: Document) -> datetime | None:
        spec = document.get("spec") or {}
        renewed_at = moment(spec.get("renewTime"))
        seconds = spec.get("leaseDurationSeconds")
        return renewed_at + timedelta(seconds=int(seconds)) if renewed_at and seconds else None

    def _document(self, now: datetime, standing: Document | None) -> Document:
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = (standing or {}).get("spec") or {}
        mine = _holder(standing) == self._identity if standing else False
        document: Document = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._duration.total_seconds()),
                "renewTime": stamp,
                "acquireTime": spec.get("acquireTime") if mine else stamp,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if mine else 1),
            },
        }
        if standing is not None:
            document["metadata"]["resourceVersion"] = standing["metadata"]["resourceVersion"]
        return document


def _holder(document: Document | None) -> str:
    return str(((document or {}).get("spec") or {}).get("holderIdentity") or "")
