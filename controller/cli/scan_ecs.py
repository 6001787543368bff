"""What `bilgepump scan --ecs` asks of AWS: the services of one cluster, and their memory in CloudWatch."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from controller.cli.scan_table import Finding
from controller.clients.cloudwatch import Spending
from controller.ecs_parts import EcsParts
from controller.metrics.series import BlockMatrix
from controller.platforms.leading import nobody
from controller.policy.memory_policy import DetectionRules, EcsTarget, MemoryPolicy, Target
from controller.ports import MemoryRequest, PlatformUnavailable
from controller.sweep.interval import SHORTEST

SCANNED = "ecs"
"""Stands for the namespace, which services have none of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedCluster:
    """What runs in a cluster, what its memory did, and what asking cost."""

    matrix: BlockMatrix
    owners: dict[tuple[str, str], str]
    """Service by namespace and task, as people read it."""
    ecs_calls: int
    spending: Spending | None


async def gather_cluster(target: EcsTarget, rules: DetectionRules, now: datetime) -> ScannedCluster:
    """
    Everything a scan asks of AWS; only reads. Without `services` in the target it asks for all.

    Raises MetricsUnavailable, PlatformUnavailable.
    """
    policies: list[MemoryPolicy] = []
    parts = EcsParts(
        lambda: policies,
        confirm=nobody,
        clock=lambda: datetime.now(UTC),  # noqa: TID251
        told=lambda *_: None,
    )
    names = target.services or tuple(await parts.service_names(target))
    if not names:
        raise PlatformUnavailable(f"cluster {target.cluster} of {target.region} has no services")
    policies.append(
        MemoryPolicy(
            namespace=SCANNED,
            name="scan",
            uid="scan",
            generation=1,
            target=Target(ecs=replace(target, services=names)),
            detection=rules,
        )
    )
    workloads = await parts.inventory.workloads(frozenset({SCANNED}))
    missing = sorted(set(target.services) - {one.ref.name.rpartition("/")[2] for one in workloads})
    if missing:
        raise PlatformUnavailable(f"cluster {target.cluster} has no service called {', '.join(missing)}")
    source = parts.cloudwatch(sample_interval_seconds=60, sweep_interval=SHORTEST)
    request = MemoryRequest(namespaces=frozenset({SCANNED}), lookback=rules.lookback)
    try:
        matrix = await source.memory(request, now)
    finally:
        calls, spending = parts.calls, parts.spending
    return ScannedCluster(
        matrix=matrix,
        owners={
            (SCANNED, replica.name): f"Service {workload.ref.name}"
            for workload in workloads
            for replica in workload.replicas
        },
        ecs_calls=calls,
        spending=spending,
    )


def named(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """As people know services: `Service eu-west-1/prod/api`."""
    return tuple(
        replace(one, workload=one.workload.replace(f"Service {SCANNED}/", "Service ")) for one in findings
    )
