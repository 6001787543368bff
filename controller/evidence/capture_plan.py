"""Which replicas to take profiles from, and how."""

from dataclasses import dataclass

from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.evidence.endpoint import EndpointRefused, PprofEndpoint, replica_endpoint
from controller.evidence.retention import BASELINES
from controller.inventory.workload import Replica, Workload
from controller.policy.memory_policy import PprofRule

ABOVE_THIS_RATIO_NO_COLLECTION = 0.85
"""`gc=1` makes the target collect first, which needs headroom: above this share of the limit not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePlan:
    """One replica's container, where it serves pprof, and under which name the files are kept."""

    folder: str
    """Where in the evidence store, for example `shop/api-3f2a…` or `baselines/sha256-…`."""
    label: str
    """What distinguishes this capture in its folder: `early`, `late`, `baseline`."""
    replica: str
    container: str
    endpoint: PprofEndpoint
    collect_first: bool
    """Ask the target for a garbage collection before the heap profile."""

    @property
    def is_baseline(self) -> bool:
        """To compare with later, and not about an incident."""
        return self.label == _BASELINE


_BASELINE = "baseline"


def plan_captures(
    workload: Workload, judgement: Judgement, rules: tuple[PprofRule, ...], folder: str, label: str
) -> tuple[CapturePlan, ...]:
    """
    The captures for one incident: the worst replica, once per container that serves pprof.

    Replicas on the host's network are left out (their address is the node's, and who answers there is not
    known to be the replica), and so are addresses that no replica has of its own. An ECS task on the
    network of its container instance is reached through the ports it has bound there, and through no other.
    """
    replica = _replica(workload, judgement.worst.key.pod)
    if replica is None:
        return ()
    used, limit = judgement.worst.used_bytes, judgement.worst.limit_bytes
    headroom = not (used and limit) or used < ABOVE_THIS_RATIO_NO_COLLECTION * limit
    plans = (
        _plan(replica, rule, folder=folder, label=label, collect_first=headroom)
        for rule in rules
        if replica.container(rule.container)
    )
    return tuple(plan for plan in plans if plan is not None)


def plan_baseline(
    workload: Workload, judgement: Judgement, rule: PprofRule, *, warm_replicas: frozenset[str]
) -> CapturePlan | None:
    """
    The capture of a healthy baseline for the image that runs now: from a young, warm, healthy replica.

    None where no such replica exists or the image has no digest to name the baseline by.
    """
    healthy = {item.key.pod for item in judgement.assessments if item.verdict not in _NOT_HEALTHY}
    for replica in workload.replicas:
        container = replica.container(rule.container)
        if replica.name not in (healthy & warm_replicas) or container is None or not container.image_digest:
            continue
        if _replica(workload, replica.name) is None:
            continue
        return _plan(
            replica,
            rule,
            folder=baseline_folder(workload.ref.namespace, container.image_digest, rule.container),
            label=_BASELINE,
            collect_first=True,
        )
    return None


_NOT_HEALTHY = {Verdict.LEAKING, Verdict.SUSPECT}


def baseline_of(workload: Workload, replica: str, container: str) -> str:
    """Where the baseline of the image that `replica` runs is kept; empty where the image has no digest."""
    for one in workload.replicas:
        running = one.container(container) if one.name == replica else None
        if running is not None and running.image_digest:
            return baseline_folder(workload.ref.namespace, running.image_digest, container)
    return ""


def baseline_folder(namespace: str, image_digest: str, container: str) -> str:
    """Where the baseline of an image is kept: one per namespace, digest and container."""
    return f"{BASELINES}/{namespace}/{image_digest.rpartition(':')[2][:24]}-{container}"


def _replica(workload: Workload, name: str) -> Replica | None:
    for replica in workload.replicas:
        if replica.name == name and replica.address and not replica.on_host_network:
            return None if replica.terminating else replica
    return None


def _plan(
    replica: Replica, rule: PprofRule, *, folder: str, label: str, collect_first: bool
) -> CapturePlan | None:
    port = replica.reached_at(rule.container, rule.port)
    if port is None:
        return None
    try:
        endpoint = replica_endpoint(
            address=replica.address or "",
            port=port,
            path=rule.path,
            scheme=rule.scheme,
            may_be_loopback=replica.may_be_loopback,
        )
    except EndpointRefused:
        return None
    return CapturePlan(
        folder=folder,
        label=label,
        replica=replica.name,
        container=rule.container,
        endpoint=endpoint,
        collect_first=collect_first,
    )
