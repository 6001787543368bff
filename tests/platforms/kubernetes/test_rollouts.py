"""Argo Rollouts: what their documents say, when they are listed, and what a restart writes."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.decision.gates.workload_state import hold_while_rolling_out
from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Platform, RolloutState, Workload, WorkloadRef
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.reading import workload
from controller.ports import PlatformUnavailable
from controller.remediation.order import order_remediation
from tests.fakes import a_leaking_situation, a_replica, a_workload
from tests.platforms.kubernetes.served import ServedApi, metadata_of

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
REF = WorkloadRef(Platform.KUBERNETES, "shop", "Rollout", "api")
GROUP = "/apis/argoproj.io/v1alpha1"
ROLLOUTS = f"{GROUP}/namespaces/shop/rollouts"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "api"}},
    "spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}]},
}
RESTARTED = {"restartAt": "2026-03-02T13:00:00+01:00"}


def a_rollout(
    status: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A canary that is fully promoted, as Argo Rollouts 1.9 describes it."""
    return {
        "metadata": metadata_of("api", generation=3, annotations=annotations or {}),
        "spec": {
            "replicas": 2,
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
            "template": TEMPLATE,
            **spec,
        },
        "status": {
            "observedGeneration": "3",
            "phase": "Healthy",
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "stableRS": "5f6d",
            "currentPodHash": "5f6d",
            "currentStepIndex": 2,
            **(status or {}),
        },
    }


def read(document: dict[str, Any]) -> Workload:
    return workload(REF, document, replicas=(), budgets=(), namespace_annotations={})


def test_rollout_is_read_as_a_deployment_is() -> None:
    found = read(a_rollout())
    assert (found.desired_replicas, found.ready_replicas, found.available_replicas) == (2, 2, 2)
    assert found.all_ready
    assert found.template_revision == "5f6d"
    assert (found.rollout, found.restart_refusal) == (RolloutState.STEADY, "")
    # Its controller evicts a pod before there is another.
    assert not found.replaces_before_stopping
    assert "would leave the traffic" in found.replace_refusal


PAUSED = {"pauseConditions": [{"reason": "CanaryPauseStep"}], "controllerPause": True}


@pytest.mark.parametrize(
    ("document", "state", "word"),
    [
        (a_rollout({"observedGeneration": "2"}), RolloutState.PROGRESSING, "taken up"),
        (a_rollout({"observedGeneration": "5d4f7c"}), RolloutState.PROGRESSING, "taken up"),
        (a_rollout({"phase": ""}), RolloutState.PROGRESSING, "not told"),
        (a_rollout({"phase": "Progressing", "message": "more"}), RolloutState.PROGRESSING, "more"),
        (a_rollout({"phase": "Paused", **PAUSED}), RolloutState.PAUSED, "Paused"),
        (a_rollout(PAUSED), RolloutState.PAUSED, "pauseConditions"),
        (a_rollout({"controllerPause": True}), RolloutState.PAUSED, "pauseConditions"),
        (a_rollout(paused=True), RolloutState.PAUSED, "spec.paused"),
        (a_rollout({"phase": "Degraded", "message": "aborted"}), RolloutState.FAILED, "aborted"),
        (a_rollout({"currentPodHash": "77aa"}), RolloutState.PROGRESSING, "77aa"),
        (a_rollout({"stableRS": ""}), RolloutState.PROGRESSING, "5f6d"),
        (a_rollout({"replicas": 3}), RolloutState.PROGRESSING, "1 old replicas"),
        (a_rollout(**RESTARTED), RolloutState.PROGRESSING, "is not over yet"),
        (a_rollout({"restartedAt": "2026-03-01T12:00:00Z"}, **RESTARTED), RolloutState.PROGRESSING, "over"),
        (a_rollout({"restartedAt": "2026-03-02T12:00:00Z"}, **RESTARTED), RolloutState.STEADY, ""),
    ],
)
def test_only_a_rollout_that_stands_still_is_steady(
    document: dict[str, Any], state: RolloutState, word: str
) -> None:
    found = read(document)
    assert found.rollout is state
    assert word in found.rollout_message


@pytest.mark.parametrize(
    ("seen", "state"), [("7", RolloutState.PROGRESSING), ("8", RolloutState.STEADY)], ids=["old", "newest"]
)
def test_change_of_the_deployment_that_it_refers_to_is_a_rollout_too(seen: str, state: RolloutState) -> None:
    annotations = {"rollout.argoproj.io/workload-generation": "8"}
    observed = {"workloadObservedGeneration": seen}
    reference = {"kind": "Deployment", "name": "api"}
    assert read(a_rollout(observed, annotations, workloadRef=reference)).rollout is state
    # What it referred to once is of no account.
    assert read(a_rollout(observed, annotations)).rollout is RolloutState.STEADY


@pytest.mark.parametrize(
    ("strategy", "replicas", "at_most"),
    [
        ({"canary": {}}, 10, 2),
        ({"canary": {"maxUnavailable": 0}}, 10, 1),
        ({"canary": {"maxUnavailable": 3}}, 10, 3),
        ({"blueGreen": {"maxUnavailable": "50%"}}, 5, 2),
        ({}, 3, 1),
    ],
)
def test_its_controller_evicts_one_at_least(strategy: dict[str, Any], replicas: int, at_most: int) -> None:
    assert read(a_rollout(strategy=strategy, replicas=replicas)).unavailable_at_most == at_most


def test_only_a_restart_of_ours_counts_as_a_remediation() -> None:
    assert read(a_rollout(**RESTARTED)).remediated_at is None
    assert read(a_rollout(annotations={"bilgepump.dev/incident": "api-1"}, **RESTARTED)).remediated_at == NOON


def served(*rollouts: dict[str, Any], known: bool = True) -> ServedApi:
    api = ServedApi({ROLLOUTS: list(rollouts)})
    for one in rollouts:
        api.objects[f"{ROLLOUTS}/{one['metadata']['name']}"] = one
    if known:
        api.objects[GROUP] = {"resources": [{"name": "rollouts", "kind": "Rollout"}]}
    return api


async def test_rollouts_are_listed_where_that_is_wanted_and_the_cluster_knows_them() -> None:
    api = served(a_rollout())
    assert await KubernetesInventory(api).workloads(frozenset({"shop"})) == ()
    assert not any("argoproj" in path for _, path in api.asked)

    (found,) = await KubernetesInventory(api, with_rollouts=True).workloads(frozenset({"shop"}))
    assert found.ref == REF
    assert await KubernetesInventory(api, with_rollouts=True).workload(REF) == found


async def test_cluster_without_argo_rollouts_costs_one_request_and_no_error() -> None:
    api = served(known=False)
    inventory = KubernetesInventory(api, with_rollouts=True)
    assert await inventory.workloads(frozenset({"shop", "bank"})) == ()
    assert [path for _, path in api.asked if "argoproj" in path] == [GROUP]
    assert await inventory.workload(REF) is None


async def test_rollout_that_nobody_may_look_at_is_unknown_and_not_gone() -> None:
    with pytest.raises(PlatformUnavailable, match="of no kind that is read here"):
        await KubernetesInventory(served(a_rollout())).workload(REF)


def a_referring_rollout(kind: str) -> dict[str, Any]:
    document = a_rollout(workloadRef={"apiVersion": "apps/v1", "kind": kind, "name": "api"})
    del document["spec"]["template"]
    return document


QUOTA = {
    "metadata": metadata_of("small"),
    "status": {"hard": {"limits.memory": "2Gi"}, "used": {"limits.memory": "1536Mi"}},
}


async def test_template_may_stand_in_a_deployment() -> None:
    api = served(a_referring_rollout("Deployment"))
    deployment = {"metadata": metadata_of("api", uid="d"), "spec": {"replicas": 0, "template": TEMPLATE}}
    api.lists[DEPLOYMENTS] = [deployment]
    api.objects[f"{DEPLOYMENTS}/api"] = deployment
    api.lists["/api/v1/namespaces/shop/resourcequotas"] = [QUOTA]
    inventory = KubernetesInventory(api, with_rollouts=True)

    listed = [one for one in await inventory.workloads(frozenset({"shop"})) if one.ref == REF]
    looked_at = await inventory.workload(REF)

    for found in (*listed, looked_at):
        assert found is not None
        assert "limits.memory" in found.quota_refusal
        assert found.unread == ()


async def test_template_that_cannot_be_read_is_told_as_unread() -> None:
    api = served(a_referring_rollout("PodTemplate"))
    (found,) = await KubernetesInventory(api, with_rollouts=True).workloads(frozenset({"shop"}))
    assert found.unread == ("podtemplates",)


MALFORMED = {
    "maxUnavailable": {"strategy": {"canary": {"maxUnavailable": "lots"}}},
    "percentage": {"strategy": {"canary": {"maxUnavailable": "x%"}}},
    "strategy": {"strategy": {"canary": "fast"}},
    "volumes": {"template": {"spec": {"containers": [{"name": "app"}], "volumes": 5}}},
    "limits": {"template": {"spec": {"containers": [{"name": "app", "resources": {"limits": "x"}}]}}},
    "template": {"template": ["x"]},
    "operator": {
        "selector": {"matchExpressions": [{"key": "app", "operator": "Resembles"}]},
        "replicas": "x",
    },
    "workloadRef": {"workloadRef": "api"},
    "workloadRef.name": {"workloadRef": {"kind": "Deployment", "name": "api/scale"}},
}


@pytest.mark.parametrize("spec", MALFORMED.values(), ids=MALFORMED)
async def test_document_that_cannot_be_read_ends_no_sweep_and_is_not_gone(spec: dict[str, Any]) -> None:
    odd = a_rollout(annotations={"bilgepump.dev/paused": "by hand"}, **spec)
    odd["metadata"] |= {"name": "odd", "uid": "uid-odd"}
    api = served(a_rollout(), odd)
    owner = {"ownerReferences": [{"controller": True, "uid": "uid-odd"}]}
    api.lists["/api/v1/namespaces/shop/pods"] = [{"metadata": metadata_of("odd-1", **owner)}]
    inventory = KubernetesInventory(api, with_rollouts=True)

    listed = {one.ref.name: one for one in await inventory.workloads(frozenset({"shop"}))}

    assert set(listed) == {"api", "odd"}
    assert listed["api"].restart_refusal == ""
    assert not any(path.endswith("/scale") for _, path in api.asked)
    for found in (listed["odd"], await inventory.workload(replace(REF, name="odd"))):
        assert found is not None
        assert found.restart_refusal.startswith("its document cannot be read: ")
        assert [one.name for one in found.replicas] == ["odd-1"]
        assert found.paused_by == "by hand"
        hold = hold_while_rolling_out(a_leaking_situation(workload=found))
        assert hold is not None
        assert "cannot be read" in hold.message


def an_order(*replicas: str) -> Any:
    mechanism = Mechanism.EVICT if replicas else Mechanism.ROLLING_RESTART
    return order_remediation(
        a_workload(ref=REF, template_revision="r1"),
        Choice(mechanism=mechanism, because="they leak", replicas=replicas),
        incident="api-1",
        memory_before_bytes=1,
        now=NOON,
    )


def test_pods_of_the_same_revision_are_told_apart_by_age() -> None:
    order = an_order()
    old = a_replica(revision="r1", created_at=NOON.replace(hour=11))
    assert order.supersedes(old)
    assert not order.supersedes(replace(old, created_at=NOON))


def test_evicted_pods_are_told_apart_by_uid_and_a_deploy_ends_it() -> None:
    order = an_order("api-1")
    assert order.supersedes(a_replica("api-1"))
    assert not order.supersedes(a_replica("api-2"))
    assert order.revision_before == "r1"


def test_documents_are_not_changed_by_reading_them() -> None:
    document = a_rollout()
    before = deepcopy(document)
    read(document)
    assert document == before
