"""
ClusterMemoryPolicies: read where the controller watches the whole cluster, passed over where it may not.

The definition may be missing (an older chart, or one without CustomResourceDefinitions), and so may the right
to read it (roles kept by hand). Neither is a reason to stop: MemoryPolicies are followed all the same.
"""

import logging
from collections.abc import Iterable, Mapping

from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi
from controller.policy.memory_policy import MemoryPolicy

logger = logging.getLogger(__name__)

CLUSTER_PLURAL = "clustermemorypolicies"


class ClusterWidePolicies:
    """The documents, and the labels of the namespaces they choose from."""

    def __init__(self, api: KubernetesApi, *, reads: bool) -> None:
        self._api = api
        self._reads = reads
        self._said = False

    async def documents(self) -> list[Document]:
        """All of them; none where there is no definition, or no right. Raises PlatformUnavailable."""
        if not self._reads:
            return []
        try:
            return await self._api.items(paths.CLUSTER_POLICIES)
        except ApiRefusal as refusal:
            if refusal.status not in (403, 404):
                raise
            if not self._said:
                logger.warning("ClusterMemoryPolicies are passed over", extra={"why": str(refusal)})
            self._said = True
            return []

    async def namespaces(self, policies: Iterable[MemoryPolicy]) -> Mapping[str, Mapping[str, str]]:
        """Labels by namespace, without those being deleted; not asked for where no policy needs them."""
        if not any(policy.cluster_wide for policy in policies):
            return {}
        listed = await self._api.items(f"{paths.CORE}/namespaces")
        return {
            one["metadata"]["name"]: one["metadata"].get("labels") or {}
            for one in listed
            if "deletionTimestamp" not in one["metadata"]
        }
