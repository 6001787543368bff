"""From documents of the ECS API to workloads and replicas."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.inventory.workload import Container, Platform, Replica, RolloutState, Workload, WorkloadRef

Document = dict[str, Any]

PAUSED = "bilgepump:paused"
ACKNOWLEDGED = "bilgepump:acknowledged"
STEADY = "has reached a steady state"
NO_ROOM = ("unable to place a task", "Capacity is unavailable", "unable to consistently start tasks")
"""What service events say when ECS cannot start a task (developer guide, service event messages)."""
MEBIBYTE = 2**20


def service_ref(namespace: str, region: str, cluster: str, service: str) -> WorkloadRef:
    """The one name of a service: `Service shop/eu-west-1/prod/api`."""
    return WorkloadRef(Platform.ECS, namespace, "Service", f"{region}/{cluster}/{service}")


def workload(
    ref: WorkloadRef,
    service: Document,
    replicas: tuple[Replica, ...],
    *,
    throttled: bool,
    access_refusal: str = "",
) -> Workload:
    """A service and its tasks; `access_refusal` says why we may not act on it."""
    tags = {one["key"]: one.get("value", "") for one in service.get("tags", ())}
    rollout, message = _rollout(service)
    return Workload(
        ref=ref,
        uid=workload_uid(service),
        resource_version="",
        generation=generation(service),
        created_at=service["createdAt"],
        labels=tuple(sorted(tags.items())),
        desired_replicas=service["desiredCount"],
        ready_replicas=sum(replica.ready for replica in replicas),
        replicas=replicas,
        rollout=rollout,
        rollout_message=message,
        template_revision=_primary(service).get("taskDefinition", ""),
        replaces_before_stopping=_most(service) > service["desiredCount"],
        restart_refusal=_refusal(service) or _roll_refusal(service),
        replace_refusal=_refusal(service),
        capacity_refusal=_capacity_refusal(service),
        access_refusal=access_refusal,
        throttled=throttled,
        paused_by=tags.get(PAUSED, ""),
        acknowledged=tags.get(ACKNOWLEDGED, ""),
    )


def workload_uid(service: Document) -> str:
    """A service of the same name that is created again has the same ARN, but is another one."""
    identity = f"{service['serviceArn']} {service['createdAt'].timestamp():.0f}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def generation(service: Document) -> int:
    """The number of the primary deployment (`ecs-svc/…`): another one is another generation."""
    name = str(_primary(service).get("id", ""))
    digits = name.rpartition("/")[2]
    if digits.isdecimal() and int(digits) < 2**63:
        return int(digits)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])


def replica(
    task: Document,
    definition: Document,
    service: Document,
    *,
    tags: Mapping[str, str | None],
    protected_until: datetime | None,
    host_address: str | None = None,
    may_be_loopback: bool,
) -> Replica:
    """
    One task of a service.

    `tags` has the digest that each image's tag names now, where it is known; `host_address` is the private
    address of the task's container instance, for tasks without a network interface of their own.
    """
    own = _address(task)
    return Replica(
        name=task["taskArn"].rpartition("/")[2],
        uid=task["taskArn"],
        created_at=task["createdAt"],
        ready=_ready(task, definition, service),
        address=own or host_address,
        containers=tuple(_container(one, task, definition, tags) for one in task.get("containers", ())),
        revision=task["taskDefinitionArn"],
        terminating=task.get("desiredStatus") == "STOPPED",
        protected_until=protected_until,
        published_ports=None if own else _published(task),
        may_be_loopback=may_be_loopback,
    )


def _container(
    container: Document, task: Document, definition: Document, tags: Mapping[str, str | None]
) -> Container:
    declared = _declared(definition, container["name"])
    limits = [int(size) for size in (declared.get("memory"), task.get("memory")) if size]
    image, digest = str(container.get("image", "")), container.get("imageDigest")
    unmoved = digest is not None and tags.get(image) == digest
    return Container(
        name=container["name"],
        image=image,
        image_digest=digest,
        memory_limit_bytes=min(limits) * MEBIBYTE if limits else None,
        started_at=task.get("startedAt"),
        always_pulls=not unmoved,
    )


def _declared(definition: Document, name: str) -> Document:
    containers: Sequence[Document] = definition.get("containerDefinitions", ())
    return next((one for one in containers if one["name"] == name), {})


def _ready(task: Document, definition: Document, service: Document) -> bool:
    """
    Running, healthy where there is a health check, and taken up by the load balancer where there is one.

    ECS says that a service is steady only when its targets are healthy, so a task that was started after
    the last such event has not been seen healthy yet.
    """
    if task.get("lastStatus") != "RUNNING" or task.get("desiredStatus") != "RUNNING":
        return False
    checked = any(one.get("healthCheck") for one in definition.get("containerDefinitions", ()))
    if checked and task.get("healthStatus") != "HEALTHY":
        return False
    if not service.get("loadBalancers"):
        return True
    steady = max((one["createdAt"] for one in _events(service, STEADY)), default=None)
    started_at = task.get("startedAt")
    return steady is not None and started_at is not None and started_at <= steady


def _address(task: Document) -> str | None:
    """The address of the task's own network interface (awsvpc); in other modes it has none of its own."""
    for attachment in task.get("attachments", ()):
        if attachment.get("type") != "ElasticNetworkInterface":
            continue
        for detail in attachment.get("details", ()):
            if detail.get("name") == "privateIPv4Address":
                return str(detail["value"])
    return None


def _published(task: Document) -> tuple[tuple[str, int, int], ...]:
    """What its containers have bound on their instance (`bridge`: any port there, `host`: the same)."""
    return tuple(
        (container["name"], int(binding["containerPort"]), int(binding["hostPort"]))
        for container in task.get("containers", ())
        for binding in container.get("networkBindings", ())
        if binding.get("protocol", "tcp") == "tcp"
        and binding.get("containerPort")
        and binding.get("hostPort")
    )


def _rollout(service: Document) -> tuple[RolloutState, str]:
    deployments = service.get("deployments", ())
    primary = _primary(service)
    reason = primary.get("rolloutStateReason", "")
    if primary.get("rolloutState") == "FAILED":
        return RolloutState.FAILED, f"its deployment failed: {reason}"
    if len(deployments) > 1 or primary.get("rolloutState") == "IN_PROGRESS":
        return RolloutState.PROGRESSING, f"{len(deployments)} deployments are under way: {reason}"
    return RolloutState.STEADY, ""


def _primary(service: Document) -> Mapping[str, Any]:
    deployments: Sequence[Document] = service.get("deployments", ())
    return next((one for one in deployments if one.get("status") == "PRIMARY"), {})


def _refusal(service: Document) -> str:
    """Why neither mechanism is right for this service."""
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        return f"its deployment controller is {controller}: only services deployed by ECS are restarted"
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy != "ROLLING":
        return f"its deployment strategy is {strategy}: a restart would shift traffic and double its tasks"
    if service.get("schedulingStrategy") == "DAEMON":
        return "it is a DAEMON: ECS stops the task of an instance before it starts the next"
    return ""


def _roll_refusal(service: Document) -> str:
    """Why a deployment of the same revision would stand still, or take all tasks at once."""
    desired, least, most = service["desiredCount"], _least(service), _most(service)
    if desired and least < 1:
        return "its minimumHealthyPercent lets a deployment stop every task at once"
    if most <= desired <= least:
        return (
            f"with {desired} tasks its minimumHealthyPercent and maximumPercent let a deployment neither "
            "start a task nor stop one"
        )
    return ""


def _least(service: Document) -> int:
    """Rounded up (developer guide, deployment type ECS)."""
    percent = int(service.get("deploymentConfiguration", {}).get("minimumHealthyPercent", 100))
    return math.ceil(int(service["desiredCount"]) * percent / 100)


def _most(service: Document) -> int:
    """Rounded down (developer guide, deployment type ECS)."""
    percent = int(service.get("deploymentConfiguration", {}).get("maximumPercent", 200))
    return math.floor(int(service["desiredCount"]) * percent / 100)


def _capacity_refusal(service: Document) -> str:
    """What the newest events say about missing room; a steady state since then has settled it."""
    for event in sorted(service.get("events", ()), key=lambda one: one["createdAt"], reverse=True):
        if STEADY in event["message"]:
            return ""
        if any(text in event["message"] for text in NO_ROOM):
            return str(event["message"])[:512]
    return ""


def _events(service: Document, text: str) -> list[Document]:
    return [one for one in service.get("events", ()) if text in one["message"]]
