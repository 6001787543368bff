from datetime import UTC, datetime

import pytest

from controller.inventory.coverage import Conflict, Governed, governing, governs_container
from controller.inventory.workload import Platform, RolloutState, Workload, WorkloadRef
from controller.policy.memory_policy import LabelSelector, MemoryPolicy, NamedWorkload, Target, WorkloadKind


def a_workload(**labels: str) -> Workload:
    return Workload(
        ref=WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api"),
        uid="1",
        resource_version="1",
        generation=1,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        labels=tuple(labels.items()),
        desired_replicas=1,
        ready_replicas=1,
        replicas=(),
        rollout=RolloutState.STEADY,
    )


def selecting(policy: str, *, namespace: str = "shop", **labels: str) -> MemoryPolicy:
    target = Target(selector=LabelSelector(match_labels=tuple(labels.items())))
    return MemoryPolicy(namespace=namespace, name=policy, uid=policy, generation=1, target=target)


def naming(
    policy: str, workload: str, *, namespace: str = "shop", kind: WorkloadKind = WorkloadKind.DEPLOYMENT
) -> MemoryPolicy:
    target = Target(workloads=(NamedWorkload(kind=kind, name=workload),))
    return MemoryPolicy(namespace=namespace, name=policy, uid=policy, generation=1, target=target)


def test_workload_without_a_policy_is_left_alone() -> None:
    assert governing([], a_workload(app="api")) is None


def test_selecting_policy_governs_what_its_labels_match() -> None:
    policy = selecting("web", app="api")
    assert governing([policy], a_workload(app="api", tier="web")) == Governed(policy=policy)
    assert governing([policy], a_workload(app="mail")) is None


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(selecting("theirs", namespace="bank", app="api"), id="by selector"),
        pytest.param(naming("theirs", "api", namespace="bank"), id="by name"),
    ],
)
def test_policy_reaches_only_into_its_own_namespace(policy: MemoryPolicy) -> None:
    assert governing([policy], a_workload(app="api")) is None


def test_name_counts_only_with_its_kind() -> None:
    assert governing([naming("p", "api", kind=WorkloadKind.STATEFUL_SET)], a_workload()) is None


def test_naming_policy_beats_those_that_select() -> None:
    named = naming("one", "api")
    policies = [selecting("a", app="api"), named, selecting("b", app="api")]
    assert governing(policies, a_workload(app="api")) == Governed(policy=named)


@pytest.mark.parametrize(
    "tied",
    [
        pytest.param([selecting("b", app="api"), selecting("a", tier="web")], id="two that select"),
        pytest.param([naming("b", "api"), naming("a", "api"), selecting("c", app="api")], id="two that name"),
    ],
)
def test_tie_is_a_conflict_of_all_who_are_tied(tied: list[MemoryPolicy]) -> None:
    governed = governing(tied, a_workload(app="api", tier="web"))
    assert isinstance(governed, Conflict)
    assert [policy.name for policy in governed.policies] == ["a", "b"]


def test_known_sidecars_are_not_judged_unless_they_are_named() -> None:
    policy = selecting("web", app="api")
    assert governs_container(policy, "app")
    assert not governs_container(policy, "istio-proxy")
    named = MemoryPolicy(
        namespace="shop", name="mesh", uid="m", generation=1, target=Target(containers=("istio-proxy",))
    )
    assert governs_container(named, "istio-proxy")
    assert not governs_container(named, "app")


def cluster_wide(policy: str, *, namespace: str = "shop", **labels: str) -> MemoryPolicy:
    """As it stands in the book, for one of the namespaces that it reaches."""
    selector = LabelSelector(match_labels=tuple(labels.items())) if labels else None
    return MemoryPolicy(
        namespace=namespace,
        name=policy,
        uid=policy,
        generation=1,
        target=Target(selector=selector),
        namespace_selector=LabelSelector(),
    )


def test_cluster_policy_governs_what_nobody_else_does() -> None:
    default = cluster_wide("default")
    assert governing([default], a_workload()) == Governed(policy=default)
    assert governing([cluster_wide("default", namespace="bank")], a_workload()) is None


@pytest.mark.parametrize("own", [selecting("own", app="api"), naming("own", "api")])
def test_namespaces_own_policy_beats_any_cluster_policy(own: MemoryPolicy) -> None:
    policies = [cluster_wide("a"), own, cluster_wide("b", app="api")]
    assert governing(policies, a_workload(app="api")) == Governed(policy=own)


def test_own_policy_for_something_else_leaves_the_default_in_force() -> None:
    default = cluster_wide("default")
    assert governing([selecting("own", app="mail"), default], a_workload(app="api")) == Governed(
        policy=default
    )


def test_cluster_policy_with_a_selector_takes_in_what_it_selects() -> None:
    policy = cluster_wide("go", lang="go")
    assert governing([policy], a_workload(lang="go")) == Governed(policy=policy)
    assert governing([policy], a_workload(lang="java")) is None


def test_two_cluster_policies_for_one_workload_are_a_conflict() -> None:
    governed = governing([cluster_wide("b"), cluster_wide("a", app="api")], a_workload(app="api"))
    assert isinstance(governed, Conflict)
    assert [policy.key for policy in governed.policies] == ["a", "b"]
