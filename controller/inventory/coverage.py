"""Which policy governs a workload, and which of its containers."""

from collections.abc import Iterable
from dataclasses import dataclass

from controller.inventory.workload import Platform, Workload
from controller.policy.memory_policy import MemoryPolicy, Target

KNOWN_SIDECARS = frozenset(
    {
        "aws-otel-collector",
        "cloud-sql-proxy",  # GoogleCloudPlatform/cloud-sql-proxy examples/k8s-sidecar
        "cloudsql-proxy",  # the same, as its first major version named it
        "config-reloader",  # prometheus-operator
        "consul-dataplane",  # hashicorp/consul-k8s connect-inject
        "daprd",  # dapr/dapr pkg/injector
        "datadog-agent",  # DataDog/datadog-agent, the agent as a sidecar
        "envoy",  # AWS App Mesh, Kuma's and Contour's habit
        "fluent-bit",
        "fluentd",
        "git-sync",  # kubernetes/git-sync docs/kubernetes.md
        "istio-proxy",  # istio/istio injection template
        "kube-rbac-proxy",  # brancz/kube-rbac-proxy examples
        "kuma-sidecar",  # kumahq/kuma
        "linkerd-proxy",  # linkerd/linkerd2 charts/partials
        "oauth2-proxy",
        "otc-container",  # open-telemetry/opentelemetry-operator naming.Container
        "promtail",
        "vault-agent",  # hashicorp/vault-k8s agent-inject
        "vector",
        "xray-daemon",  # AWS X-Ray on ECS and EKS
    }
)
"""
Names that injectors and the makers' own examples give to sidecars. They are reported, never acted on: a
restart of the workload is not the cure for somebody else's container. A policy that names one in
`target.containers` governs it all the same.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """One policy governs the workload."""

    policy: MemoryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Several policies ask for the workload with the same right; none of them gets it."""

    policies: tuple[MemoryPolicy, ...]
    """By name."""


def governing(policies: Iterable[MemoryPolicy], workload: Workload) -> Governed | Conflict | None:
    """
    Which of `policies` governs `workload`: None where none asks for it.

    A policy reaches only into its own namespace. One that names the workload beats those that select it, and
    any of them beats a ClusterMemoryPolicy; what is still a tie is a conflict.
    """
    here = [policy for policy in policies if policy.namespace == workload.ref.namespace]
    own = [policy for policy in here if not policy.cluster_wide]
    claims = (
        [policy for policy in own if _names(policy.target, workload)]
        or [policy for policy in own if _selects(policy.target, workload)]
        or [policy for policy in here if policy.cluster_wide and _takes_in(policy.target, workload)]
    )
    if len(claims) > 1:
        return Conflict(policies=tuple(sorted(claims, key=lambda policy: policy.name)))
    return Governed(policy=claims[0]) if claims else None


def governs_container(policy: MemoryPolicy, name: str) -> bool:
    """Whether `policy` judges the container called `name` of the workloads it governs."""
    if policy.target.containers:
        return name in policy.target.containers
    return name not in KNOWN_SIDECARS


def _names(target: Target, workload: Workload) -> bool:
    if workload.ref.platform is Platform.ECS:
        return _in_cluster(target, workload) and workload.ref.name.rpartition("/")[2] in _services(target)
    return any(
        named.kind == workload.ref.kind and named.name == workload.ref.name for named in target.workloads
    )


def _selects(target: Target, workload: Workload) -> bool:
    if workload.ref.platform is Platform.ECS:
        tags = target.ecs.tags if target.ecs else ()
        return _in_cluster(target, workload) and bool(tags) and set(tags) <= set(workload.labels)
    return target.selector is not None and target.selector.matches(dict(workload.labels))


def _takes_in(target: Target, workload: Workload) -> bool:
    """The target of a ClusterMemoryPolicy: everything where it has no selector."""
    return target.selector is None or target.selector.matches(dict(workload.labels))


def _in_cluster(target: Target, workload: Workload) -> bool:
    ecs = target.ecs
    return ecs is not None and workload.ref.name.startswith(f"{ecs.region}/{ecs.cluster}/")


def _services(target: Target) -> tuple[str, ...]:
    return target.ecs.services if target.ecs else ()
