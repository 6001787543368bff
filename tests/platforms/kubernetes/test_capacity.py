from typing import Any

import pytest

from controller.platforms.kubernetes.capacity import (
    autoscaler_of,
    node_refusal,
    quota_refusal,
    range_refusal,
    surge_refusal,
    unavailable_at_most,
)


def a_template(**spec: Any) -> dict[str, Any]:
    app = {
        "name": "app",
        "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {"spec": {"containers": [app], **spec}}


def a_quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used}}


@pytest.mark.parametrize(
    ("hard", "used", "refused"),
    [
        pytest.param({"pods": "10"}, {"pods": "9"}, "", id="room for one pod"),
        pytest.param(
            {"pods": "10"},
            {"pods": "10"},
            "has 0 of pods left, a new replica needs 1",
            id="no room for a pod",
        ),
        pytest.param({"requests.cpu": "1"}, {"requests.cpu": "800m"}, "", id="exactly enough CPU"),
        pytest.param(
            {"cpu": "1"},
            {"cpu": "801m"},
            "has 0.199 of cpu left, a new replica needs 0.2",
            id="too little CPU",
        ),
        pytest.param({"limits.memory": "1Gi"}, {"limits.memory": "512Mi"}, "", id="exactly enough memory"),
        pytest.param(
            {"limits.memory": "1Gi"}, {"limits.memory": "513Mi"}, "of limits.memory", id="too little memory"
        ),
        pytest.param({"services": "1"}, {"services": "1"}, "", id="a quota for something else"),
    ],
)
def test_quota_has_room_for_one_more_pod_or_not(
    hard: dict[str, str], used: dict[str, str], refused: str
) -> None:
    told = quota_refusal(a_template(), [a_quota(hard, used)])

    assert (refused in told) if refused else not told


@pytest.mark.parametrize(
    ("spec", "applies"),
    [
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["NotBestEffort"]}, True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "BestEffort", "operator": "Exists"}]}}, False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            False,
        ),
        ({}, True),
    ],
)
def test_quota_counts_only_pods_within_its_scopes(spec: dict[str, Any], applies: bool) -> None:
    full = a_quota({"pods": "1"}, {"pods": "1"}, **spec)

    assert bool(quota_refusal(a_template(), [full])) == applies


def test_largest_init_container_and_limits_without_requests_count() -> None:
    heavy = {"name": "init", "resources": {"limits": {"memory": "1Gi"}}}
    quota = a_quota({"requests.memory": "2Gi"}, {"requests.memory": "1025Mi"})

    assert quota_refusal(a_template(initContainers=[heavy]), [quota])
    assert not quota_refusal(a_template(), [quota])


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"type": "Container", "max": {"memory": "512Mi"}, "min": {"cpu": "200m"}}, ""),
        ({"type": "Container", "max": {"memory": "511Mi"}}, "memory limit of 512Mi, at most 511Mi"),
        ({"type": "Container", "min": {"cpu": "201m"}}, "asks for 200m of cpu, at least 201m"),
        ({"type": "PersistentVolumeClaim", "max": {"memory": "1Mi"}}, ""),
    ],
)
def test_range_refuses_what_lies_outside(limits: dict[str, Any], told: str) -> None:
    refusal = range_refusal(a_template(), [{"metadata": {"name": "l"}, "spec": {"limits": [limits]}}])

    assert (told in refusal) if told else not refusal


def a_claim(*modes: str) -> dict[str, Any]:
    return {"metadata": {"name": "data"}, "spec": {"accessModes": list(modes)}}


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ([a_claim("ReadWriteOnce")], True),
        ([a_claim("ReadWriteOncePod")], True),
        ([a_claim("ReadWriteOnce", "ReadWriteMany")], False),
        ([a_claim("ReadOnlyMany")], False),
        ([], True),
    ],
)
def test_volume_for_one_node_allows_no_surge(claims: list[dict[str, Any]], refused: bool) -> None:
    template = a_template(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])

    assert bool(surge_refusal(template, 1, claims, None)) == refused


def a_node(name: str, *, ready: bool = True, cordoned: bool = False, **conditions: str) -> dict[str, Any]:
    states = {"Ready": "True" if ready else "False", **conditions}
    return {
        "metadata": {"name": name, "labels": {"disk": "ssd"}},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"conditions": [{"type": kind, "status": status} for kind, status in states.items()]},
    }


def test_host_port_needs_a_free_node() -> None:
    template = a_template()
    template["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
    two = [a_node("a"), a_node("b")]

    assert "port 8080" in surge_refusal(template, 2, [], two)
    assert "port 8080" in surge_refusal(template, 1, [], None)
    assert surge_refusal(template, 1, [], two) == ""
    assert surge_refusal(a_template(), 2, [], two) == ""


def test_pressure_counts_on_nodes_where_a_replica_runs() -> None:
    nodes = [a_node("a"), a_node("b", MemoryPressure="True")]

    assert node_refusal(a_template(), ["b"], nodes) == "node b, where a replica runs, reports MemoryPressure"
    assert node_refusal(a_template(), ["a"], nodes) == ""
    assert node_refusal(a_template(), ["b"], None) == ""


@pytest.mark.parametrize(
    ("nodes", "selector"),
    [
        ([a_node("a", ready=False)], {}),
        ([a_node("a", cordoned=True)], {}),
        ([a_node("a")], {"disk": "nvme"}),
        ([], {}),
    ],
)
def test_some_node_must_take_new_replicas(nodes: list[dict[str, Any]], selector: dict[str, str]) -> None:
    assert "takes new replicas" in node_refusal(a_template(nodeSelector=selector), [], nodes)
    assert node_refusal(a_template(nodeSelector={"disk": "ssd"}), [], [*nodes, a_node("z")]) == ""


def an_autoscaler(
    reason: str = "TooManyReplicas", resource: str = "cpu", name: str = "api"
) -> dict[str, Any]:
    return {
        "metadata": {"name": "scaler"},
        "spec": {
            "maxReplicas": 9,
            "scaleTargetRef": {"kind": "Deployment", "name": name},
            "metrics": [{"type": "Resource", "resource": {"name": resource}}],
        },
        "status": {"conditions": [{"type": "ScalingLimited", "status": "True", "reason": reason}]},
    }


def test_autoscaler_is_found_by_what_it_scales() -> None:
    found = autoscaler_of("Deployment", "api", [an_autoscaler(name="cart"), an_autoscaler()])

    assert found is not None
    assert (found.name, found.maximum, found.wants_more, found.on_memory) == ("scaler", 9, True, False)
    assert autoscaler_of("StatefulSet", "api", [an_autoscaler()]) is None


def test_autoscaler_at_its_minimum_wants_no_more_and_one_on_memory_is_known() -> None:
    found = autoscaler_of("Deployment", "api", [an_autoscaler("TooFewReplicas", "memory")])

    assert found is not None
    assert (found.wants_more, found.on_memory) == (False, True)


@pytest.mark.parametrize(
    ("kind", "rolling", "replicas", "most"),
    [
        ("Deployment", {}, 3, 0),
        ("Deployment", {}, 4, 1),
        ("Deployment", {"maxUnavailable": "50%"}, 5, 2),
        ("Deployment", {"maxUnavailable": 0}, 9, 0),
        ("StatefulSet", {}, 3, 1),
        ("DaemonSet", {"maxUnavailable": "10%"}, 31, 4),
    ],
)
def test_share_of_unavailable_replicas_is_rounded_as_kubernetes_does(
    kind: str, rolling: dict[str, Any], replicas: int, most: int
) -> None:
    key = "strategy" if kind == "Deployment" else "updateStrategy"

    assert unavailable_at_most(kind, {key: {"rollingUpdate": rolling}}, replicas) == most
