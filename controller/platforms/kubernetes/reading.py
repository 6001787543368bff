"""From documents of the API server to values of ours. Pure: what is missing there is None or empty here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controller.inventory.request import Request, RequestKind, parse_request
from controller.inventory.workload import (
    Container,
    DisruptionBudget,
    Replica,
    RolloutState,
    Workload,
    WorkloadRef,
)
from controller.platforms.kubernetes import rollouts
from controller.platforms.kubernetes.capacity import (
    autoscaler_of,
    node_refusal,
    quota_refusal,
    range_refusal,
    surge_refusal,
    unavailable_at_most,
)
from controller.platforms.kubernetes.moments import moment
from controller.platforms.kubernetes.surroundings import NOTHING_AROUND, Surroundings
from controller.policy.memory_policy import LabelExpression, LabelSelector, Operator
from controller.policy.units import parse_bytes
from controller.reporting.incident_document import ACKNOWLEDGED, ACKNOWLEDGED_BECAUSE

Document = Mapping[str, Any]

PAUSED = "bilgepump.dev/paused"
INCIDENT = "bilgepump.dev/incident"
RELEASED_FROM = "bilgepump.dev/released-from"
"""On a pod that its ReplicaSet has let go: whence, as `Deployment/name/uid/pod-template-hash`."""
TEMPLATE_HASH = "pod-template-hash"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""What `kubectl rollout restart` sets on the pod template; so do we."""


def owner_of(document: Document) -> str:
    """The uid of the controlling owner; empty where there is none."""
    for owner in document["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner.get("uid", ""))
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Whence a pod was released, and for which incident."""

    incident: str
    kind: str
    workload: str
    workload_uid: str
    template_hash: str


def released(pod: Document) -> Released | None:
    """
    What our marks on a pod say; None where it does not bear both, or they cannot be read.

    A pod with the label by which its ReplicaSet knows it is that ReplicaSet's again, whatever marks it bears.
    """
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    if TEMPLATE_HASH in labels:
        return None
    incident = labels.get(INCIDENT)
    parts = str((metadata.get("annotations") or {}).get(RELEASED_FROM) or "").split("/")
    if not incident or len(parts) != 4:
        return None
    kind, name, uid, template_hash = parts
    return Released(
        incident=incident, kind=kind, workload=name, workload_uid=uid, template_hash=template_hash
    )


def replica(pod: Document) -> Replica:
    """A pod as a replica."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    statuses = {item["name"]: item for item in status.get("containerStatuses") or ()}
    labels = metadata.get("labels") or {}
    marks = released(pod)
    created_at = moment(metadata["creationTimestamp"])
    assert created_at is not None  # noqa: S101  (the API server sets it on every object)
    return Replica(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=created_at,
        ready=_condition(status, "Ready").get("status") == "True",
        address=status.get("podIP"),
        containers=tuple(
            _container(item, statuses.get(item["name"], {})) for item in spec.get("containers") or ()
        ),
        revision=labels.get(TEMPLATE_HASH)
        or labels.get(rollouts.POD_HASH)
        or labels.get("controller-revision-hash")
        or "",
        node=spec.get("nodeName"),
        on_host_network=bool(spec.get("hostNetwork")),
        terminating="deletionTimestamp" in metadata,
        released_for=marks.incident if marks else "",
    )


def _container(spec: Document, status: Document) -> Container:
    image_id = str(status.get("imageID") or "")
    limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    running = (status.get("state") or {}).get("running") or {}
    return Container(
        name=spec["name"],
        image=str(spec.get("image", "")),
        image_digest=image_id.rpartition("@")[2] if "sha256:" in image_id else None,
        memory_limit_bytes=_bytes(limit),
        restart_count=int(status.get("restartCount") or 0),
        started_at=moment(running.get("startedAt")),
        always_pulls=spec.get("imagePullPolicy") == "Always",
    )


def _bytes(quantity: str | None) -> int | None:
    if quantity is None:
        return None
    try:
        return parse_bytes(quantity)
    except ValueError:
        return None


def budgets_of(
    pods: Sequence[Document], document: Document, budgets: Iterable[Document]
) -> tuple[DisruptionBudget, ...]:
    """The PodDisruptionBudgets that cover the workload's pods, or would cover those of its template."""
    labels = _pod_labels(pods, document)
    return tuple(
        _budget(budget)
        for budget in budgets
        if any(_selects(budget["spec"].get("selector"), one) for one in labels)
    )


def overlapping_budgets(
    pods: Sequence[Document], document: Document, budgets: Sequence[Document]
) -> tuple[str, ...]:
    """The names of PodDisruptionBudgets that cover one and the same pod; empty where none does."""
    for labels in _pod_labels(pods, document):
        names = [
            str(budget["metadata"]["name"])
            for budget in budgets
            if _selects(budget["spec"].get("selector"), labels)
        ]
        if len(names) > 1:
            return tuple(sorted(names))
    return ()


def _pod_labels(pods: Sequence[Document], document: Document) -> list[dict[str, str]]:
    """The labels of the workload's pods, and of those its template would make."""
    template = (document.get("spec") or {}).get("template") or {}
    labels = [(pod["metadata"].get("labels") or {}) for pod in pods]
    return [*labels, (template.get("metadata") or {}).get("labels") or {}]


def _budget(budget: Document) -> DisruptionBudget:
    status = budget.get("status") or {}
    return DisruptionBudget(
        name=budget["metadata"]["name"],
        disruptions_allowed=int(status.get("disruptionsAllowed") or 0),
        current=status.get("observedGeneration", 0) >= budget["metadata"].get("generation", 0),
    )


def own_pods(document: Document) -> dict[str, str]:
    """The query that lists the pods and ReplicaSets a workload's selector chooses; all where it has none."""
    selector = (document.get("spec") or {}).get("selector") or {}
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    parts += [
        _expression_text(item["key"], Operator(item["operator"]), item.get("values") or ())
        for item in selector.get("matchExpressions") or ()
    ]
    return {"labelSelector": ",".join(parts)} if parts else {}


def _expression_text(key: str, operator: Operator, values: Sequence[str]) -> str:
    """As a label selector is written in a query: `tier in (a,b)`, `tier`, `!tier`."""
    match operator:
        case Operator.EXISTS:
            return key
        case Operator.DOES_NOT_EXIST:
            return f"!{key}"
        case _:
            return f"{key} {operator.value.lower()} ({','.join(values)})"


def _selects(selector: Document | None, labels: dict[str, str]) -> bool:
    """A missing selector selects nothing, an empty one everything (policy/v1)."""
    if selector is None:
        return False
    return LabelSelector(
        match_labels=tuple((selector.get("matchLabels") or {}).items()),
        match_expressions=tuple(
            LabelExpression(
                key=item["key"], operator=Operator(item["operator"]), values=tuple(item.get("values") or ())
            )
            for item in selector.get("matchExpressions") or ()
        ),
    ).matches(labels)


def workload(
    ref: WorkloadRef,
    document: Document,
    *,
    replicas: tuple[Replica, ...],
    budgets: tuple[DisruptionBudget, ...],
    overlapping: tuple[str, ...] = (),
    namespace_annotations: Mapping[str, str],
    replica_sets: Sequence[Document] = (),
    around: Surroundings = NOTHING_AROUND,
    protected_because: str = "",
) -> Workload:
    """A workload from its document and what belongs to it."""
    metadata, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
    annotations = metadata.get("annotations") or {}
    pod_template = spec.get("template") or {}
    restarted_for, restarted_at = restart_marks(ref.kind, document)
    desired = _desired(ref.kind, spec, status)
    rollout, message = _rollout(ref.kind, metadata, spec, status)
    created_at = moment(metadata["creationTimestamp"])
    assert created_at is not None  # noqa: S101  (the API server sets it on every object)
    return Workload(
        ref=ref,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=int(metadata.get("generation") or 0),
        created_at=created_at,
        labels=tuple(sorted((metadata.get("labels") or {}).items())),
        desired_replicas=desired,
        ready_replicas=int(status.get("readyReplicas") or status.get("numberReady") or 0),
        replicas=replicas,
        rollout=rollout,
        available_replicas=_available(status),
        rollout_message=message,
        template_revision=_template_revision(ref.kind, metadata["uid"], status, replica_sets),
        remediated_at=restarted_at if restarted_for else None,
        replaces_before_stopping=_replaces_before_stopping(ref.kind, spec),
        restart_refusal=_restart_refusal(ref.kind, spec),
        quota_refusal=quota_refusal(pod_template, around.quotas)
        or range_refusal(pod_template, around.limit_ranges),
        node_refusal=node_refusal(pod_template, (one.node for one in replicas if one.node), around.nodes),
        surge_refusal=surge_refusal(pod_template, desired, around.claims, around.nodes),
        autoscaler=autoscaler_of(ref.kind, ref.name, around.autoscalers),
        unavailable_at_most=unavailable_at_most(ref.kind, spec, desired),
        unread=around.unread,
        replace_refusal=_replace_refusal(ref.kind, spec),
        disruption_budgets=budgets,
        overlapping_budgets=overlapping,
        protected_because=protected_because,
        paused_by=str(annotations.get(PAUSED) or namespace_annotations.get(PAUSED) or ""),
        acknowledged=str(annotations.get(ACKNOWLEDGED) or ""),
        acknowledged_because=str(annotations.get(ACKNOWLEDGED_BECAUSE) or "")[:512],
        requests=_requests(annotations),
    )


def unreadable(known: Workload, why: str) -> Workload:
    """
    A workload of whose document only the metadata could be read: it is not gone, and nothing is done to it.

    How many replicas it should have is not known; so many as it has are taken for that.
    """
    told = f"its document cannot be read: {why}"
    return replace(
        known,
        desired_replicas=max(1, sum(not one.terminating for one in known.replicas)),
        ready_replicas=sum(one.ready for one in known.replicas),
        rollout=RolloutState.PROGRESSING,
        rollout_message=told,
        restart_refusal=told,
        replace_refusal=told,
    )


def restart_marks(kind: str, document: Document) -> tuple[str, datetime | None]:
    """
    The incident that the workload was restarted for last (empty: it never was), and when it was restarted.

    They stand on the pod template; on a Rollout beside it, where they make no new revision.
    """
    if kind == rollouts.KIND:
        marks = document["metadata"].get("annotations") or {}
        restarted_at = (document.get("spec") or {}).get(rollouts.RESTART_AT)
    else:
        template = (document.get("spec") or {}).get("template") or {}
        marks = (template.get("metadata") or {}).get("annotations") or {}
        restarted_at = marks.get(RESTARTED_AT)
    return str(marks.get(INCIDENT) or ""), moment(restarted_at)


def requested(kind: RequestKind) -> str:
    """The annotation by which a person asks."""
    return f"bilgepump.dev/{kind.value}-requested"


def _requests(annotations: Document) -> tuple[Request, ...]:
    read = (parse_request(kind, str(annotations.get(requested(kind)) or "")) for kind in RequestKind)
    return tuple(request for request in read if request is not None)


def _desired(kind: str, spec: Document, status: Document) -> int:
    if kind == "DaemonSet":
        return int(status.get("desiredNumberScheduled") or 0)
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _rollout(kind: str, metadata: Document, spec: Document, status: Document) -> tuple[RolloutState, str]:
    if kind == rollouts.KIND:
        return rollouts.rollout_state(metadata, spec, status)
    if kind == "Deployment" and spec.get("paused"):
        return RolloutState.PAUSED, "its rollout is paused (`spec.paused`)"
    progressing = _condition(status, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return RolloutState.FAILED, f"its rollout failed: {progressing.get('message', '')}"
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        return RolloutState.PROGRESSING, "its newest change has not been taken up yet"
    updated, wanted = _updated(kind, spec, status)
    if updated < wanted:
        return RolloutState.PROGRESSING, f"{updated} of {wanted} replicas are updated"
    surplus = int(status.get("replicas") or 0) - wanted if kind == "Deployment" else 0
    if surplus > 0:
        return RolloutState.PROGRESSING, f"{surplus} old replicas are still there"
    return RolloutState.STEADY, ""


def _updated(kind: str, spec: Document, status: Document) -> tuple[int, int]:
    """How many replicas are of the newest template, of how many."""
    if kind == "DaemonSet":
        return int(status.get("updatedNumberScheduled") or 0), _desired(kind, spec, status)
    wanted = _desired(kind, spec, status)
    if kind == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision"):
        # Once complete, a StatefulSet reports its replicas as current and no longer as updated.
        return wanted, wanted
    return int(status.get("updatedReplicas") or 0), wanted


def _template_revision(kind: str, uid: str, status: Document, replica_sets: Sequence[Document]) -> str:
    if kind == rollouts.KIND:
        return rollouts.template_revision(status)
    if "updateRevision" in status:
        return str(status["updateRevision"])
    mine = [item for item in replica_sets if owner_of(item) == uid]
    newest = max(mine, key=_revision_number, default=None)
    return str((newest["metadata"].get("labels") or {}).get("pod-template-hash", "")) if newest else ""


def _revision_number(replica_set: Document) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get("deployment.kubernetes.io/revision") or 0)


def _replaces_before_stopping(kind: str, spec: Document) -> bool:
    """Whether a new replica is up before an old one goes. A surge of 0 with one replica means an outage."""
    if kind == "Deployment":
        rolling = ((spec.get("strategy") or {}).get("rollingUpdate")) or {}
        return rolling.get("maxSurge", "25%") not in (0, "0", "0%")
    if kind == "DaemonSet":
        rolling = ((spec.get("updateStrategy") or {}).get("rollingUpdate")) or {}
        return rolling.get("maxSurge", 0) not in (0, "0", "0%")
    return False


def _restart_refusal(kind: str, spec: Document) -> str:
    if kind == rollouts.KIND:
        return ""
    strategy = spec.get("strategy" if kind == "Deployment" else "updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return "its update strategy is OnDelete: a restart would replace no pod"
    if strategy.get("type") == "Recreate":
        return "its strategy is Recreate: a restart would stop every replica at once"
    if (strategy.get("rollingUpdate") or {}).get("partition"):
        return "its rolling update has a partition: a restart would replace only some of its pods"
    return ""


def _replace_refusal(kind: str, spec: Document) -> str:
    """Why a pod cannot stand beside its replacement; empty where it can."""
    if kind == rollouts.KIND:
        return rollouts.REPLACE_REFUSAL
    if kind != "Deployment":
        return f"a {kind}'s pods cannot be released from it; only those of a Deployment can"
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        return "its strategy is Recreate: no pod may stand beside another's replacement"
    pod = (spec.get("template") or {}).get("spec") or {}
    if any("persistentVolumeClaim" in volume for volume in pod.get("volumes") or ()):
        return "its pods mount a PersistentVolumeClaim, which a replacement may not be able to share"
    ports = (port for container in pod.get("containers") or () for port in container.get("ports") or ())
    if pod.get("hostNetwork") or any(port.get("hostPort") for port in ports):
        return "its pods use ports of the node, where a replacement may find them taken"
    return ""


def _available(status: Document) -> int:
    """How many replicas are available: every kind counts them, and leaves the number out while it is 0."""
    return int(status.get("availableReplicas") or status.get("numberAvailable") or 0)


def _condition(status: Document, kind: str) -> Document:
    conditions: Sequence[Document] = status.get("conditions") or ()
    return next((item for item in conditions if item.get("type") == kind), {})
