"""All policies as they stand: those in force, and those that cannot be used, with the reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import parse_policy
from controller.policy.problem import PolicyProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPolicy:
    """A document that is not a usable policy."""

    namespace: str
    name: str
    uid: str
    generation: int
    problems: str
    """Every problem with its field, in one line."""
    reason: str = "Invalid"
    """
    Why, in one word: `Invalid`; `RoleNotAllowed` where its namespace may not use the role it names,
    `RolloutsNotEnabled` where it names a Rollout and nobody looks at those.
    """


def refused(policy: MemoryPolicy, reason: str, problem: str) -> RejectedPolicy:
    """A policy that is well written and may not be followed all the same."""
    return RejectedPolicy(
        namespace=policy.namespace,
        name=policy.name,
        uid=policy.uid,
        generation=policy.generation,
        problems=problem,
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBook:
    """The policies at one moment."""

    accepted: tuple[MemoryPolicy, ...] = ()
    """Those in force; a ClusterMemoryPolicy once for each namespace that it reaches."""
    rejected: tuple[RejectedPolicy, ...] = ()
    cluster_wide: tuple[MemoryPolicy, ...] = ()
    """Each ClusterMemoryPolicy in force, once, also one that reaches no namespace."""

    async def book(self) -> "PolicyBook":
        """Itself, whenever it is asked: policies that were read once, from files (`ports.Policies`)."""
        return self

    @property
    def namespaces(self) -> frozenset[str]:
        """Where workloads can be governed."""
        return frozenset(policy.namespace for policy in self.accepted)

    @property
    def documents(self) -> tuple[MemoryPolicy, ...]:
        """Every policy in force, once."""
        return (*(policy for policy in self.accepted if not policy.cluster_wide), *self.cluster_wide)


def spread(policy: MemoryPolicy, namespaces: Mapping[str, Mapping[str, str]]) -> tuple[MemoryPolicy, ...]:
    """A ClusterMemoryPolicy as it stands in each namespace whose labels it selects; by name, their labels."""
    selector = policy.namespace_selector
    if selector is None:
        return (policy,)
    return tuple(
        replace(policy, namespace=name)
        for name, labels in sorted(namespaces.items())
        if selector.matches(dict(labels))
    )


def read_policy(
    document: Mapping[str, Any], *, allow_short_lookback: bool = False, on_ecs: bool = False
) -> MemoryPolicy | RejectedPolicy:
    """The policy in a document, or why there is none. Never raises."""
    try:
        read = parse_policy(document, allow_short_lookback=allow_short_lookback, on_ecs=on_ecs)
    except Exception as error:  # noqa: BLE001  (whatever it is, its document is told)
        # What no check has foreseen puts this policy out of force, and not every other with it.
        why = f"cannot be read: {type(error).__name__}: {error}"
        read = (PolicyProblem(field="document", value="", message=why),)
    if isinstance(read, MemoryPolicy):
        return read
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    generation = metadata.get("generation")
    return RejectedPolicy(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        generation=generation if isinstance(generation, int) else 0,
        problems="; ".join(str(problem) for problem in read),
    )
