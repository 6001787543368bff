"""What is known after a remediation, gathered for `controller.verification.recovery`."""

from controller.inventory.workload import CLOCKS_DIFFER, Replica, Workload
from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.memory_policy import MemoryPolicy, VerificationRules
from controller.remediation.order import Order
from controller.reporting.incident import Incident
from controller.verification.equal_age import compare_at_equal_age
from controller.verification.recovery import RecoveryFacts


def recovery_facts(
    incident: Incident, workload: Workload | None, policy: MemoryPolicy | None, memory: BlockMatrix | None
) -> RecoveryFacts:
    """The facts; `workload` and `policy` are None where they are gone, `memory` while it cannot be read."""
    status = incident.status
    before, after = _memory_before_and_after(incident, workload, memory)
    return RecoveryFacts(
        issued_at=status.order.issued_at if status.order else incident.spec.opened_at,
        rolled_out_at=status.rolled_out_at,
        workload=workload,
        rules=policy.verification if policy else VerificationRules(),
        memory_before_bytes=before,
        memory_after_bytes=after,
        memory_at_restart_bytes=status.order.memory_before_bytes if status.order else None,
        container_restarts=_restarts(workload, status.order),
        expected_revision=status.order.expected_revision if status.order else "",
        steps=max(1, len(status.order.replicas)) if status.order else 1,
        cut_short_at=incident.cut_short_at,
        service_before=status.order.service_before if status.order else None,
    )


def _memory_before_and_after(
    incident: Incident, workload: Workload | None, memory: BlockMatrix | None
) -> tuple[int | None, int | None]:
    assessment, order = incident.status.assessment, incident.status.order
    if workload is None or memory is None or assessment is None:
        return None, None
    namespace, container = incident.spec.workload.namespace, assessment.container
    pair = compare_at_equal_age(
        memory,
        before=ContainerKey(namespace, assessment.replica, container),
        after=[
            ContainerKey(namespace, replica.name, container)
            for replica in workload.replicas
            if order is None or _is_new(replica, order)
        ],
        young_floor_bytes=assessment.young_floor_bytes,
        started_since=(order.issued_at - CLOCKS_DIFFER).timestamp() if order else 0.0,
    )
    return pair or (None, None)


def _restarts(workload: Workload | None, order: Order | None) -> int:
    if workload is None or order is None:
        return 0
    return sum(
        container.restart_count
        for replica in workload.replicas
        if _is_new(replica, order)
        for container in replica.containers
    )


def _is_new(replica: Replica, order: Order) -> bool:
    """Made because of `order`, or about then: one that is as young does no harm in a comparison."""
    if replica.terminating or order.supersedes(replica):
        return False
    return replica.created_at >= order.issued_at - CLOCKS_DIFFER
