"""What is to be done, written into the incident before it is done, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.decision.mechanism import Mechanism
from controller.inventory.workload import Platform, Workload, WorkloadRef

__all__ = ["Mechanism", "Order", "Receipt", "ReceiptOutcome", "order_restart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    One act on one workload. Its `id` is the incident's name: the workload carries it afterwards, so that a
    second attempt finds the first.
    """

    id: str
    mechanism: Mechanism
    workload: WorkloadRef
    workload_uid: str
    expected_generation: int
    """The workload's generation when the decision was taken; any other voids the order."""
    issued_at: datetime
    memory_before_bytes: int | None = None
    replicas: tuple[str, ...] = ()
    """Those to be replaced, one at a time; empty where all are."""
    approved_by: str = ""
    """Who approved it; empty where the policy asks nobody."""
    expected_revision: str = ""
    """The template's revision that must come of it, where a restart does not change it; else empty."""

    @property
    def repeatable(self) -> bool:
        """
        Whether doing it again does nothing more.

        The patch of a Kubernetes object carries its version, and an ECS task can be stopped only once; but
        every forced deployment of an ECS service is another one.
        """
        return self.workload.platform is Platform.KUBERNETES or self.mechanism is Mechanism.REPLACE


class ReceiptOutcome(StrEnum):
    """What came of an order."""

    DONE = "Done"
    ALREADY_DONE = "AlreadyDone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The platform's answer to an order."""

    outcome: ReceiptOutcome
    at: datetime
    generation: int
    """The workload's generation after the act."""


def order_restart(
    workload: Workload,
    *,
    incident: str,
    memory_before_bytes: int | None,
    now: datetime,
    replicas: tuple[str, ...] = (),
    approved_by: str = "",
) -> Order:
    """The order for a restart of `workload` as it is now; of `replicas` alone where they are named."""
    on_ecs = workload.ref.platform is Platform.ECS
    return Order(
        id=incident,
        mechanism=Mechanism.REPLACE if replicas else Mechanism.ROLLING_RESTART,
        workload=workload.ref,
        workload_uid=workload.uid,
        expected_generation=workload.generation,
        issued_at=now.replace(microsecond=0),
        memory_before_bytes=memory_before_bytes,
        replicas=replicas,
        approved_by=approved_by,
        expected_revision=workload.template_revision if on_ecs else "",
    )
