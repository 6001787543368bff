"""Where things stand on the API server."""

from controller.inventory.workload import WorkloadRef
from controller.platforms.kubernetes import rollouts

POLICIES = "/apis/bilgepump.dev/v1alpha1"
CLUSTER_POLICIES = f"{POLICIES}/clustermemorypolicies"
APPS = "/apis/apps/v1"
CORE = "/api/v1"
POLICY_V1 = "/apis/policy/v1"

ARGO = "/apis/argoproj.io/v1alpha1"

BUILT_IN = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds of workload that every cluster has."""
_PLACES = {
    **{kind: (APPS, f"{kind.lower()}s") for kind in BUILT_IN},
    rollouts.KIND: (ARGO, "rollouts"),
}


def in_namespace(root: str, namespace: str, plural: str, name: str = "") -> str:
    """`root/namespaces/…/plural[/name]`."""
    path = f"{root}/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


def of_policy(namespace: str, name: str) -> str:
    """The path of a MemoryPolicy; without a namespace, of a ClusterMemoryPolicy."""
    if not namespace:
        return f"{CLUSTER_POLICIES}/{name}"
    return in_namespace(POLICIES, namespace, "memorypolicies", name)


def of_workload(ref: WorkloadRef) -> str:
    """The workload's own path."""
    return of_kind(ref.kind, ref.namespace, ref.name)


def of_kind(kind: str, namespace: str, name: str = "") -> str:
    """The list of all workloads of a kind, or one of them."""
    root, plural = _PLACES[kind]
    return in_namespace(root, namespace, plural, name)
