"""How a workload serves its requests, asked where its policy wants that compared."""

from datetime import datetime

from controller.inventory.workload import Workload
from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import MetricsUnavailable, ServiceRequest, World


async def service_level(
    world: World, policy: MemoryPolicy, workload: Workload, at: datetime
) -> ServiceLevel | None:
    """
    How the replicas of now served in the policy's soak up to `at`; None where the policy does not ask.

    Never raises: what cannot be asked is told as not measured.
    """
    rules = policy.verification
    if not rules.compares_service:
        return None
    source = world.service_sources.get(policy.metrics.source)
    replicas = tuple(one.name for one in workload.replicas if not one.terminating)
    if source is None or not replicas:
        why = "there is no replica" if source else f"metrics source {policy.metrics.source} does not tell it"
        return ServiceLevel(window=rules.soak, unmeasured_because=why)
    request = ServiceRequest(
        namespace=workload.ref.namespace, replicas=replicas, rules=rules, window=rules.soak
    )
    try:
        return await source.service_level(request, at)
    except MetricsUnavailable as error:
        return ServiceLevel(window=rules.soak, unmeasured_because=str(error)[:512])
