"""Where things stand on the API server."""

from controller.inventory.workload import WorkloadRef

POLICIES = "/apis/bilgepump.dev/v1alpha1"
CLUSTER_POLICIES = f"{POLICIES}/clustermemorypolicies"
APPS = "/apis/apps/v1"
CORE = "/api/v1"
POLICY_V1 = "/apis/policy/v1"

PLURALS = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
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
    return in_namespace(APPS, ref.namespace, PLURALS[ref.kind], ref.name)
