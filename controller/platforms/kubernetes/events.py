"""
Events people read with `kubectl describe` and `kubectl get events`.

An own small recorder: names are made from what is told, so that a repetition (also one after a crash) counts
the Event that is there up instead of adding another. Core v1 Events, because that is what kubectl shows.
"""

import hashlib
import logging
from collections.abc import Sequence

from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.ports import PlatformUnavailable
from controller.reporting.notices import Notice, Subject

logger = logging.getLogger(__name__)

COMPONENT = "bilgepump"
_API_VERSIONS = {
    "Pod": "v1",
    "Rollout": "argoproj.io/v1alpha1",
    "MemoryPolicy": "bilgepump.dev/v1alpha1",
    "ClusterMemoryPolicy": "bilgepump.dev/v1alpha1",
    "MemoryIncident": "bilgepump.dev/v1alpha1",
}


class KubernetesEvents:
    """Posts notices as Events; what cannot be posted is logged."""

    def __init__(self, api: KubernetesApi, *, instance: str) -> None:
        self._api = api
        self._instance = instance

    async def announce(self, notices: Sequence[Notice], /) -> None:
        """Posts each notice once; failures are logged, never raised."""
        for notice in notices:
            logger.info(
                notice.reason,
                extra={
                    "regarding": str(notice.regarding),
                    "told": notice.message,
                    "tone": notice.tone.value,
                },
            )
            try:
                await self._post(notice)
            except PlatformUnavailable as error:
                logger.warning("event not posted", extra={"reason": notice.reason, "why": str(error)})

    async def _post(self, notice: Notice) -> None:
        event = event_document(notice, self._instance)
        name, namespace = event["metadata"]["name"], event["metadata"]["namespace"]
        try:
            await self._api.create(paths.in_namespace(paths.CORE, namespace, "events"), event)
        except ApiRefusal as refusal:
            if refusal.status != 409:
                raise
            await self._count_up(paths.in_namespace(paths.CORE, namespace, "events", name), event)

    async def _count_up(self, path: str, event: Document) -> None:
        standing = await self._api.find(path)
        count = int((standing or {}).get("count") or 1) + 1
        newest = {"count": count, "lastTimestamp": event["lastTimestamp"], "message": event["message"]}
        await self._api.patch(path, newest)


def event_document(notice: Notice, instance: str) -> Document:
    """
    A notice as a core/v1 Event whose name depends on what is told and on which episode, not on when.

    About what is in no namespace it stands in `default`, where the API server wants it and kubectl looks.
    """
    key = f"{notice.episode}\n{notice.reason}\n{notice.regarding}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    at = notice.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{notice.regarding.name[:200]}.{digest}",
            "namespace": notice.regarding.namespace or "default",
        },
        "type": notice.tone.value,
        "reason": notice.reason,
        "message": notice.message,
        "involvedObject": _reference(notice.regarding),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
        "action": notice.action,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
    if notice.related is not None:
        document["related"] = _reference(notice.related)
    return document


def _reference(subject: Subject) -> Document:
    reference = {
        "apiVersion": _API_VERSIONS.get(subject.kind, "apps/v1"),
        "kind": subject.kind,
        "name": subject.name,
        "uid": subject.uid,
    }
    return reference | ({"namespace": subject.namespace} if subject.namespace else {})
