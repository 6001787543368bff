"""
Which policies there are: a watch says when something changed, a list says what is there.

The list is read anew by every sweep, so a watch that is lost or late delays a sweep and misleads none.
"""

import asyncio
from collections.abc import Sequence

from controller.operator.cluster_policies import CLUSTER_PLURAL, ClusterWidePolicies
from controller.operator.policy_watch import PolicyWatch
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import Document, KubernetesApi
from controller.policy.book import PolicyBook, RejectedPolicy, read_policy, refused, spread
from controller.policy.ecs_access import EcsAccess, ambiguous
from controller.policy.memory_policy import MemoryPolicy, WorkloadKind

PLURAL = "memorypolicies"
_NO_ROLLOUTS = (
    "RolloutsNotEnabled",
    "`spec.target.workloads`: kind Rollout needs the controller's setting `rollouts.enabled`, which is false",
)


class WatchedPolicies:
    """The policies of some namespaces, or of all."""

    def __init__(
        self,
        api: KubernetesApi,
        *,
        namespaces: Sequence[str],
        allow_short_lookback: bool,
        ecs_access: EcsAccess | None = None,
        with_rollouts: bool = False,
    ) -> None:
        """`with_rollouts`: Argo Rollouts are looked at, so that policies may name them."""
        self._api = api
        self._namespaces = namespaces
        self._allow_short_lookback = allow_short_lookback
        self._cluster_wide = ClusterWidePolicies(api, reads=not namespaces)
        self._ecs_access = ecs_access or EcsAccess()
        self._with_rollouts = with_rollouts
        self.accepted: tuple[MemoryPolicy, ...] = ()
        """Those in force when the book was read last."""
        self._read: dict[tuple[str, str], MemoryPolicy | RejectedPolicy] = {}
        self.changed = asyncio.Event()

    async def book(self) -> PolicyBook:
        """All policies now. Raises PlatformUnavailable."""
        documents = [document for path in self._lists() for document in await self._api.items(path)]
        documents += await self._cluster_wide.documents()
        living = [document for document in documents if "deletionTimestamp" not in document["metadata"]]
        self._read = {_version(document): self._policy(document) for document in living}
        read = sorted(self._read.values(), key=lambda one: (one.namespace, one.name))
        policies = self._as_allowed(read)
        accepted = tuple(one for one in policies if isinstance(one, MemoryPolicy))
        namespaces = await self._cluster_wide.namespaces(accepted)
        self.accepted = tuple(one for policy in accepted for one in spread(policy, namespaces))
        return PolicyBook(
            accepted=self.accepted,
            rejected=tuple(one for one in policies if isinstance(one, RejectedPolicy)),
            cluster_wide=tuple(policy for policy in accepted if policy.cluster_wide),
        )

    async def watch(self) -> None:
        """Watches until cancelled, and notes each change of a policy."""
        plurals = (PLURAL,) if self._namespaces else (PLURAL, CLUSTER_PLURAL)
        await PolicyWatch(plurals, namespaces=self._namespaces, tell=self.changed.set).run()

    def _policy(self, document: Document) -> MemoryPolicy | RejectedPolicy:
        known = self._read.get(_version(document))
        return known or read_policy(document, allow_short_lookback=self._allow_short_lookback)

    def _as_allowed(
        self, policies: Sequence[MemoryPolicy | RejectedPolicy]
    ) -> list[MemoryPolicy | RejectedPolicy]:
        """Without those that ask for what the settings do not allow, or that contradict each other."""
        allowed = [one if isinstance(one, RejectedPolicy) else self._allowed(one) for one in policies]
        clashes = ambiguous(one for one in allowed if isinstance(one, MemoryPolicy))
        return [
            refused(one, "Invalid", clashes[one.key])
            if isinstance(one, MemoryPolicy) and one.key in clashes
            else one
            for one in allowed
        ]

    def _allowed(self, policy: MemoryPolicy) -> MemoryPolicy | RejectedPolicy:
        """The policy, unless its namespace may not use the role it names, or its workloads are not read."""
        target = policy.target.ecs
        problem = self._ecs_access.may_not_look(policy.namespace, target) if target is not None else ""
        if problem:
            return refused(policy, "RoleNotAllowed", problem)
        names_rollout = any(one.kind is WorkloadKind.ROLLOUT for one in policy.target.workloads)
        return policy if self._with_rollouts or not names_rollout else refused(policy, *_NO_ROLLOUTS)

    def _lists(self) -> list[str]:
        if not self._namespaces:
            return [f"{paths.POLICIES}/{PLURAL}"]
        return [paths.in_namespace(paths.POLICIES, name, PLURAL) for name in self._namespaces]


def _version(document: Document) -> tuple[str, str]:
    """What the validated policy depends on: which object, and which generation of its spec."""
    metadata = document["metadata"]
    return str(metadata["uid"]), str(metadata.get("generation"))
