"""How a workload serves its requests, asked where its policy wants that compared."""

import hashlib
from dataclasses import replace
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
    if not policy.verification.compares_service:
        return None
    level = await _measured(world, policy, workload, at)
    return replace(level, rules=_digest(policy))


async def _measured(world: World, policy: MemoryPolicy, workload: Workload, at: datetime) -> ServiceLevel:
    rules = policy.verification
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


def _digest(policy: MemoryPolicy) -> str:
    """Of what is measured, where, for how long, and of what is allowed."""
    rules = policy.verification
    parts = (policy.metrics.source, rules.soak, rules.error_ratio, rules.latency)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
