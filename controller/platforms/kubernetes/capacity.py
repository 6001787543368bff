"""
Whether what stands around a workload lets a new replica in: sentences, empty where nothing speaks against it.

Rollouts ask none of this: a ReplicaSet that may not create its pod, or whose pod is never scheduled, leaves
the rollout stuck half-way. So it is asked before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import ceil, floor
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from controller.inventory.workload import Autoscaler
from controller.platforms.kubernetes import rollouts

Document = Mapping[str, Any]

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
_ALIASES = {"cpu": "requests.cpu", "memory": "requests.memory"}
_COUNTED = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def quota_refusal(template: Document, quotas: Iterable[Document]) -> str:
    """Which ResourceQuota has no room for one more pod of `template`."""
    spec = template.get("spec") or {}
    needs = {"pods": Decimal(1), "count/pods": Decimal(1), **_needs(spec)}
    for quota in quotas:
        if not _applies(quota, spec, needs):
            continue
        status = quota.get("status") or {}
        used = status.get("used") or {}
        for resource, hard in (status.get("hard") or {}).items():
            needed = needs.get(_ALIASES.get(resource, resource), Decimal(0))
            left = _amount(hard) - _amount(used.get(resource, "0"))
            if needed > left:
                return (
                    f"ResourceQuota {quota['metadata']['name']} has {left.normalize():f} of {resource} left, "
                    f"a new replica needs {needed.normalize():f}"
                )
    return ""


def _needs(spec: Document) -> dict[str, Decimal]:
    """
    What the scheduler and quotas count for a pod: all containers, or the largest init container.

    A limit without a request is the request, too (the API server's own default).
    """
    return {
        f"{kind}.{resource}": max(
            sum((_asks(one, kind, resource) for one in spec.get("containers") or ()), Decimal(0)),
            max((_asks(one, kind, resource) for one in spec.get("initContainers") or ()), default=Decimal(0)),
        )
        for kind in ("requests", "limits")
        for resource in ("cpu", "memory")
    }


def _asks(container: Document, kind: str, resource: str) -> Decimal:
    resources = container.get("resources") or {}
    asked = (resources.get(kind) or {}).get(resource)
    if asked is None and kind == "requests":
        asked = (resources.get("limits") or {}).get(resource)
    return _amount(asked or "0")


def _applies(quota: Document, spec: Document, needs: Mapping[str, Decimal]) -> bool:
    """Whether a quota's scopes include a pod of this spec; what is not known to exclude it includes it."""
    scoped = quota.get("spec") or {}
    best_effort = not any(needs[name] for name in _COUNTED)
    excluded = {
        "Terminating": "activeDeadlineSeconds" not in spec,
        "NotTerminating": "activeDeadlineSeconds" in spec,
        "BestEffort": not best_effort,
        "NotBestEffort": best_effort,
    }
    if any(excluded.get(scope, False) for scope in scoped.get("scopes") or ()):
        return False
    for expression in (scoped.get("scopeSelector") or {}).get("matchExpressions") or ():
        name = expression.get("scopeName")
        if excluded.get(name, False):
            return False
        of_other_classes = name == "PriorityClass" and expression.get("operator") == "In"
        if of_other_classes and spec.get("priorityClassName", "") not in (expression.get("values") or ()):
            return False
    return True


def range_refusal(template: Document, limit_ranges: Iterable[Document]) -> str:
    """Which LimitRange would refuse a container of `template`: ranges bind new pods only."""
    containers = (template.get("spec") or {}).get("containers") or ()
    for limit_range in limit_ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            if item.get("type") != "Container":
                continue
            for container in containers:
                if told := _out_of_range(container, item):
                    return f"LimitRange {limit_range['metadata']['name']}: {told}"
    return ""


def _out_of_range(container: Document, item: Document) -> str:
    resources = container.get("resources") or {}
    for resource, most in (item.get("max") or {}).items():
        limit = (resources.get("limits") or {}).get(resource)
        if limit is not None and _amount(limit) > _amount(most):
            return (
                f"container {container['name']} has a {resource} limit of {limit}, at most {most} is allowed"
            )
    for resource, least in (item.get("min") or {}).items():
        request = (resources.get("requests") or {}).get(resource)
        if request is not None and _amount(request) < _amount(least):
            return (
                f"container {container['name']} asks for {request} of {resource}, at least {least} is needed"
            )
    return ""


def surge_refusal(
    template: Document, replicas: int, claims: Iterable[Document], nodes: Sequence[Document] | None
) -> str:
    """Why an additional replica could not start beside the old ones: what only one of them can have."""
    spec = template.get("spec") or {}
    modes = {one["metadata"]["name"]: (one.get("spec") or {}).get("accessModes") or () for one in claims}
    for volume in spec.get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name and not {"ReadWriteMany", "ReadOnlyMany"} & set(modes.get(name, ())):
            return f"volume claim {name} can be mounted on one node only; a new replica may start on another"
    ports = sorted(
        {
            int(port.get("hostPort") or port.get("containerPort") or 0)
            for container in spec.get("containers") or ()
            for port in container.get("ports") or ()
            if port.get("hostPort") or spec.get("hostNetwork")
        }
    )
    if ports and (nodes is None or len(_open_nodes(spec, nodes)) <= replicas):
        return (
            f"it holds port {ports[0]} of its node, and no other node is known to be free for a new replica"
        )
    return ""


def node_refusal(template: Document, used: Iterable[str], nodes: Sequence[Document] | None) -> str:
    """Which node is under pressure, or that none takes new replicas. Where nodes are not seen: nothing."""
    if nodes is None:
        return ""
    mine = set(used)
    for node in nodes:
        name, conditions = node["metadata"]["name"], (node.get("status") or {}).get("conditions") or ()
        for condition in conditions:
            pressed = condition.get("type") in PRESSURES and condition.get("status") == "True"
            if pressed and name in mine:
                return f"node {name}, where a replica runs, reports {condition['type']}"
    if not _open_nodes(template.get("spec") or {}, nodes):
        return f"none of {len(nodes)} nodes is ready and takes new replicas of it"
    return ""


def _open_nodes(spec: Document, nodes: Iterable[Document]) -> list[Document]:
    """Nodes that are ready, not cordoned, and bear the labels of the pod's nodeSelector."""
    wanted = (spec.get("nodeSelector") or {}).items()
    return [
        node
        for node in nodes
        if not (node.get("spec") or {}).get("unschedulable")
        and wanted <= (node["metadata"].get("labels") or {}).items()
        and any(
            one.get("type") == "Ready" and one.get("status") == "True"
            for one in (node.get("status") or {}).get("conditions") or ()
        )
    ]


def autoscaler_of(kind: str, name: str, autoscalers: Iterable[Document]) -> Autoscaler | None:
    """The HorizontalPodAutoscaler that scales the workload."""
    for document in autoscalers:
        spec, status = document.get("spec") or {}, document.get("status") or {}
        target = spec.get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) != (kind, name):
            continue
        limited = any(
            one.get("type") == "ScalingLimited"
            and one.get("status") == "True"
            and one.get("reason") == "TooManyReplicas"
            for one in status.get("conditions") or ()
        )
        return Autoscaler(
            name=document["metadata"]["name"],
            maximum=int(spec.get("maxReplicas") or 0),
            wants_more=limited,
            on_memory=any(_on_memory(metric) for metric in spec.get("metrics") or ()),
        )
    return None


def _on_memory(metric: Document) -> bool:
    resource = metric.get("resource") or metric.get("containerResource") or {}
    return bool(resource.get("name") == "memory")


def unavailable_at_most(kind: str, spec: Document, replicas: int) -> int:
    """
    How many replicas a rolling restart may take away before their successors are ready.

    Kubernetes rounds a Deployment's percentage down, the others' up; a Rollout's is rounded down, but to one.
    """
    if kind == rollouts.KIND:
        most = rollouts.strategy(spec).get("maxUnavailable", "25%")
        return max(_share(most, replicas, floor), 1)
    key = "strategy" if kind == "Deployment" else "updateStrategy"
    rolling = (spec.get(key) or {}).get("rollingUpdate") or {}
    most = rolling.get("maxUnavailable", "25%" if kind == "Deployment" else 1)
    return _share(most, replicas, floor if kind == "Deployment" else ceil)


def _share(most: int | str, replicas: int, rounded: Callable[[Decimal], int]) -> int:
    """An IntOrString of so many replicas."""
    if isinstance(most, str) and most.endswith("%"):
        return rounded(Decimal(most[:-1]) * replicas / 100)
    return int(most)


def _amount(quantity: Any) -> Decimal:
    """A quantity as a number; what cannot be read counts as nothing."""
    try:
        return Decimal(parse_quantity(quantity))  # type: ignore[no-untyped-call]  # untyped in kubernetes 37
    except (ValueError, ArithmeticError):
        return Decimal(0)
