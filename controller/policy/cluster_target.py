"""The `target` of a ClusterMemoryPolicy: which workloads of the namespaces it selects, which containers."""

from controller.policy.memory_policy import Target
from controller.policy.section import Section
from controller.policy.syntax import DNS_LABEL
from controller.policy.target import parse_selector


def parse_cluster_target(target: Section) -> Target:
    """The target; every workload where it says nothing. Its problems are noted in `target`."""
    parsed = Target(
        selector=parse_selector(target.section("selector")) if "selector" in target else None,
        containers=target.names("containers", DNS_LABEL, "names of containers"),
    )
    target.refuse_unknown()
    return parsed
