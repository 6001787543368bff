from datetime import UTC, datetime
from typing import Any

import pytest

from controller.inventory.request import RequestKind
from controller.inventory.workload import Platform, RolloutState, Workload, WorkloadRef
from controller.platforms.kubernetes.reading import (
    budgets_of,
    overlapping_budgets,
    own_pods,
    released,
    replica,
    workload,
)
from tests.platforms.kubernetes.served import a_released_pod

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def a_deployment(**status: Any) -> dict[str, Any]:
    steady = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
    return {
        "metadata": {
            "name": "api",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-03-01T00:00:00Z",
            "labels": {"app": "api"},
        },
        "spec": {
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {"metadata": {"labels": {"app": "api"}}},
        },
        "status": {**steady, **status},
    }


def read(document: dict[str, Any], kind: str = "Deployment") -> Workload:
    ref = WorkloadRef(Platform.KUBERNETES, "shop", kind, "api")
    return workload(ref, document, replicas=(), budgets=(), namespace_annotations={})


def test_what_people_ask_for_by_hand_is_read_from_annotations() -> None:
    document = a_deployment()
    document["metadata"]["annotations"] = {
        "bilgepump.dev/restart-requested": "2026-03-02T12:00:00Z jane: before the sale",
        "bilgepump.dev/capture-requested": "please",
        "bilgepump.dev/acknowledged": "api-1",
        "bilgepump.dev/acknowledged-because": "jane: limit raised",
    }
    found = read(document)
    (request,) = found.requests
    assert (request.kind, request.who, request.why) == (RequestKind.RESTART, "jane", "before the sale")
    assert (found.acknowledged, found.acknowledged_because) == ("api-1", "jane: limit raised")


@pytest.mark.parametrize(
    ("written", "at"),
    [
        pytest.param("2026-03-02T12:00:00Z", NOON, id="as we write it"),
        pytest.param("2026-03-02T13:00:00+01:00", NOON, id="another zone"),
        pytest.param("2026-03-02T12:00:00", NOON, id="no zone"),
        pytest.param("yesterday", None, id="no time"),
        pytest.param("", None, id="empty"),
    ],
)
def test_time_of_the_last_restart_is_comparable_whatever_somebody_wrote(
    written: str, at: datetime | None
) -> None:
    document = a_deployment()
    document["spec"]["template"]["metadata"]["annotations"] = {
        "bilgepump.dev/incident": "api-1a",
        "kubectl.kubernetes.io/restartedAt": written,
    }
    found = read(document)

    assert found.remediated_at == at
    assert found.remediated_before(NOON) == at


FAILED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param({}, RolloutState.STEADY, id="everything updated"),
        pytest.param({"observedGeneration": 2}, RolloutState.PROGRESSING, id="change not taken up"),
        pytest.param({"updatedReplicas": 1}, RolloutState.PROGRESSING, id="half updated"),
        pytest.param({"replicas": 3}, RolloutState.PROGRESSING, id="an old replica is still there"),
        pytest.param({"conditions": [FAILED]}, RolloutState.FAILED, id="deadline exceeded"),
    ],
)
def test_deployments_rollout_is_read_from_its_status(status: dict[str, Any], state: RolloutState) -> None:
    assert read(a_deployment(**status)).rollout is state


def test_paused_deployment_is_paused() -> None:
    document = a_deployment()
    document["spec"]["paused"] = True

    assert read(document).rollout is RolloutState.PAUSED


def test_stateful_set_is_steady_once_both_revisions_are_one() -> None:
    document = a_deployment(updatedReplicas=0, currentRevision="r2", updateRevision="r2")

    assert read(document, "StatefulSet").rollout is RolloutState.STEADY


@pytest.mark.parametrize(
    ("kind", "spec", "word"),
    [
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
        ("Deployment", {"strategy": {"type": "Recreate"}}, "Recreate"),
        (
            "StatefulSet",
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            "partition",
        ),
    ],
)
def test_strategy_that_would_not_restart_everything_is_refused(
    kind: str, spec: dict[str, Any], word: str
) -> None:
    document = a_deployment()
    document["spec"].update(spec)

    assert word in read(document, kind).restart_refusal


def test_budget_covers_by_labels_and_lags_by_generation() -> None:
    budget = {
        "metadata": {"name": "b", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "api"}}},
        "status": {"disruptionsAllowed": 1, "observedGeneration": 1},
    }
    other = {
        "metadata": {"name": "c"},
        "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]}},
        "status": {},
    }

    (covering,) = budgets_of([], a_deployment(), [budget, other])

    assert (covering.name, covering.disruptions_allowed, covering.current) == ("b", 1, False)


def test_pod_is_read_with_its_container() -> None:
    pod = {
        "metadata": {
            "name": "api-1",
            "uid": "p",
            "creationTimestamp": "2026-03-01T00:00:00Z",
            "labels": {"pod-template-hash": "h"},
        },
        "spec": {
            "nodeName": "n",
            "containers": [
                {
                    "name": "app",
                    "image": "api:1",
                    "imagePullPolicy": "Always",
                    "resources": {"limits": {"memory": "128Mi"}},
                }
            ],
        },
        "status": {
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "app",
                    "imageID": "registry/api@sha256:abc",
                    "restartCount": 2,
                    "state": {"running": {"startedAt": "2026-03-01T00:00:05Z"}},
                }
            ],
        },
    }

    one = replica(pod)

    (container,) = one.containers
    assert (one.ready, one.address, one.revision) == (True, "10.0.0.1", "h")
    assert container.memory_limit_bytes == 128 * 2**20
    assert (container.image_digest, container.restart_count, container.always_pulls) == (
        "sha256:abc",
        2,
        True,
    )


def test_pod_without_status_is_not_ready() -> None:
    pod = {"metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-03-01T00:00:00Z"}}

    assert not replica(pod).ready


def test_budgets_overlap_only_where_they_cover_the_same_pod() -> None:
    def budget(name: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}}}

    first, second = (
        {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": name}}} for name in ("api-0", "api-1")
    )
    apart = [
        budget("zero", **{"statefulset.kubernetes.io/pod-name": "api-0"}),
        budget("one", **{"statefulset.kubernetes.io/pod-name": "api-1"}),
    ]

    assert overlapping_budgets([first, second], a_deployment(), apart) == ()
    assert overlapping_budgets([first], a_deployment(), [*apart, budget("every")]) == ("every", "zero")


def test_pod_that_is_its_replica_sets_again_is_no_longer_released() -> None:
    marked = a_released_pod("api-1")
    taken_back = a_released_pod("api-1", **{"pod-template-hash": "r1"})

    assert released(marked) is not None
    assert released(taken_back) is None
    assert replica(taken_back).released_for == ""


def test_pods_are_listed_by_all_parts_of_their_workloads_selector() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["front", "back"]},
        {"key": "tier", "operator": "NotIn", "values": ["middle"]},
        {"key": "app", "operator": "Exists"},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "api", "team": "a"}, "matchExpressions": expressions}

    assert own_pods({"spec": {"selector": selector}}) == {
        "labelSelector": "app=api,team=a,tier in (front,back),tier notin (middle),app,!canary"
    }
    assert own_pods({"spec": {"selector": {"matchLabels": {}}}}) == {}
