"""What is to be done, written into the incident before it is done, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.inventory.workload import Workload, WorkloadRef


class Mechanism(StrEnum):
    """How a remediation is carried out."""

    ROLLING_RESTART = "RollingRestart"


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
    workload: Workload, *, incident: str, memory_before_bytes: int | None, now: datetime
) -> Order:
    """The order for a rolling restart of `workload` as it is now."""
    return Order(
        id=incident,
        mechanism=Mechanism.ROLLING_RESTART,
        workload=workload.ref,
        workload_uid=workload.uid,
        expected_generation=workload.generation,
        issued_at=now.replace(microsecond=0),
        memory_before_bytes=memory_before_bytes,
    )
