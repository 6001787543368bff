"""Which IAM roles the policies of a namespace may use on ECS: set in the controller, never in a policy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.policy.memory_policy import EcsTarget, MemoryPolicy

OWN = "the controller's own role"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsRole:
    """One role and those who may use it."""

    arn: str = ""
    """Empty: the controller's own."""
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    """As `region/cluster`; empty for all that the role itself may see."""
    remediate: bool = True
    """Whether it may also be used to act, and not only to look."""

    def covers(self, namespace: str, target: EcsTarget) -> bool:
        """Whether policies of `namespace` may look at the target as this role."""
        place = f"{target.region}/{target.cluster}"
        return (
            self.arn == target.assume_role_arn
            and namespace in self.namespaces
            and (not self.clusters or place in self.clusters)
        )


@dataclass(frozen=True, slots=True)
class EcsAccess:
    """All roles."""

    roles: tuple[EcsRole, ...] = ()

    def may_not_look(self, namespace: str, target: EcsTarget) -> str:
        """Why policies of `namespace` may not look at the target; empty where they may."""
        if any(role.covers(namespace, target) for role in self.roles):
            return ""
        return (
            f"`spec.target.ecs`: policies of namespace {namespace} may not use "
            f"{target.assume_role_arn or OWN} in cluster {target.region}/{target.cluster}: "
            "the controller's setting `ecs.roles` does not allow it"
        )

    def may_not_act(self, namespace: str, target: EcsTarget) -> str:
        """Why policies of `namespace` may not act on the target; empty where they may."""
        if any(role.remediate and role.covers(namespace, target) for role in self.roles):
            return ""
        return (
            f"policies of namespace {namespace} may look as {target.assume_role_arn or OWN} but not act: "
            "the controller's setting `ecs.roles` has `remediate: false`"
        )


def ambiguous(policies: Iterable[MemoryPolicy]) -> Mapping[str, str]:
    """
    By policy: that others of its namespace reach the same cluster in another way.

    A service's name tells namespace, region and cluster, so there may be one way only.
    """
    ways: dict[tuple[str, str, str], dict[tuple[str, str], list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for policy in policies:
        if ecs := policy.target.ecs:
            reached = ways[policy.namespace, ecs.region, ecs.cluster]
            reached[ecs.assume_role_arn, ecs.external_id].append(policy.key)
    return {
        key: (
            f"`spec.target.ecs`: policies of namespace {namespace} reach cluster {region}/{cluster} with "
            "different `assumeRoleArn` or `externalId`; use one namespace for each account"
        )
        for (namespace, region, cluster), reached in ways.items()
        if len(reached) > 1
        for keys in reached.values()
        for key in keys
    }
