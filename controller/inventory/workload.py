"""Workloads, their replicas and containers, as both platforms describe them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.inventory.request import Request

CLOCKS_DIFFER = timedelta(minutes=2)
"""So much may the controller's clock and the platform's, which dates the replicas, be apart."""


def stem_of(pod: str) -> str:
    """
    What the names of its ReplicaSet's, StatefulSet's or DaemonSet's pods have in common.

    Of a ReplicaSet's pods it ends with the hash of their template.
    """
    return pod.rpartition("-")[0]


class Platform(StrEnum):
    """Where a workload runs."""

    KUBERNETES = "Kubernetes"
    ECS = "ECS"


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """Names one workload. `str()` is what people read: `Deployment shop/api`."""

    platform: Platform
    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a replica."""

    name: str
    image: str
    image_digest: str | None
    memory_limit_bytes: int | None
    restart_count: int = 0
    started_at: datetime | None = None
    always_pulls: bool = False
    """The image is pulled at every start, so a mutable tag can bring other code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A pod or an ECS task."""

    name: str
    uid: str
    created_at: datetime
    ready: bool
    address: str | None
    containers: tuple[Container, ...]
    revision: str = ""
    """Which version of the template it was made from (a pod-template hash)."""
    node: str | None = None
    on_host_network: bool = False
    terminating: bool = False
    protected_until: datetime | None = None
    """Until when it may not be stopped (ECS task protection)."""
    published_ports: tuple[tuple[str, int, int], ...] | None = None
    """
    Container, its port, and the port at `address` that leads there: only these can be reached.

    None where `address` is the replica's own, with all of its ports.
    """
    released_for: str = ""
    """The incident for which its workload let go of it, on its way out; empty for all others."""
    may_be_loopback: bool = False
    """Its address may be one of loopback: only where a stand-in of the platform is used."""

    def reached_at(self, container: str, port: int) -> int | None:
        """The port at `address` that leads to `port` of a container; None where none does."""
        if self.published_ports is None:
            return port
        return next(
            (
                outside
                for name, inside, outside in self.published_ports
                if (name, inside) == (container, port)
            ),
            None,
        )

    def container(self, name: str) -> Container | None:
        """The container called `name`, if there is one."""
        return next((container for container in self.containers if container.name == name), None)


class RolloutState(StrEnum):
    """What the workload's own controller is doing."""

    STEADY = "Steady"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisruptionBudget:
    """What a PodDisruptionBudget that covers the workload's replicas allows now."""

    name: str
    disruptions_allowed: int
    current: bool = True
    """False while its status lags behind its spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler that sets how many replicas there are."""

    name: str
    maximum: int
    wants_more: bool
    """It would have more replicas than its maximum allows."""
    on_memory: bool
    """It counts memory, so that a leak itself adds replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload at one moment."""

    ref: WorkloadRef
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    labels: tuple[tuple[str, str], ...]
    desired_replicas: int
    ready_replicas: int
    replicas: tuple[Replica, ...]
    rollout: RolloutState
    available_replicas: int | None = None
    """Ready for as long as the workload asks for (`minReadySeconds`); None where nobody counts them."""
    rollout_message: str = ""
    template_revision: str = ""
    """The revision new replicas are made from."""
    remediated_at: datetime | None = None
    """When its template says that we last restarted it: whoever may edit it can write any time there."""
    replaces_before_stopping: bool = True
    """A rolling restart brings a new replica up before it takes an old one down, or there are others."""
    restart_refusal: str = ""
    """Why a rolling restart cannot work here (`OnDelete`, a partition); empty where it can."""
    replace_refusal: str = ""
    """Why stopping single replicas cannot work here; empty where their platform replaces them."""
    capacity_refusal: str = ""
    """Why there is no room for a new replica; empty where nothing says so."""
    quota_refusal: str = ""
    """Which quota or range keeps a new replica out; empty where none does."""
    node_refusal: str = ""
    """Which node is under pressure, or that none takes new replicas; empty where nothing says so."""
    surge_refusal: str = ""
    """Why a new replica could not start beside the old ones; empty where it could."""
    autoscaler: Autoscaler | None = None
    unavailable_at_most: int = 0
    """How many replicas a rolling restart may take away before their successors are ready."""
    unread: tuple[str, ...] = ()
    """Kinds of object that a decision should look at and the platform did not let us read."""
    access_refusal: str = ""
    """Why its platform, or the controller's settings, would not let us act on it; empty where they would."""
    throttled: bool = False
    """Its platform refused calls lately because there were too many."""
    disruption_budgets: tuple[DisruptionBudget, ...] = ()
    overlapping_budgets: tuple[str, ...] = ()
    """Names of PodDisruptionBudgets that cover one and the same replica; empty where none does."""
    protected_because: str = ""
    """Why it is never acted on; empty for everything that may be."""
    paused_by: str = ""
    """Text of the pause annotation on the workload or its namespace; empty where there is none."""
    acknowledged: str = ""
    """Name of the incident a person has acknowledged."""
    acknowledged_because: str = ""
    """Who acknowledged it, and why; empty where nobody said."""
    requests: tuple[Request, ...] = ()
    """What people have asked for by hand, answered or not."""

    @property
    def serving_replicas(self) -> int:
        """Replicas that are ready and stay: neither terminating nor released."""
        return sum(one.ready and not one.terminating and not one.released_for for one in self.replicas)

    @property
    def all_ready(self) -> bool:
        """Every desired replica is there and ready."""
        return self.desired_replicas > 0 and self.ready_replicas >= self.desired_replicas

    @property
    def deployed_at(self) -> datetime | None:
        """When the first replica of the newest template was made; None where there is none yet."""
        return min(
            (
                replica.created_at
                for replica in self.replicas
                if self.template_revision and replica.revision == self.template_revision
            ),
            default=None,
        )

    def remediated_before(self, now: datetime) -> datetime | None:
        """`remediated_at`, unless that has not come yet: a time written by hand must not hold anybody up."""
        at = self.remediated_at
        return at if at is not None and at <= now + CLOCKS_DIFFER else None

    @property
    def nodes(self) -> frozenset[str]:
        """Where its replicas run, as far as that is known."""
        return frozenset(replica.node for replica in self.replicas if replica.node)
