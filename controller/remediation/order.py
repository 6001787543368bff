"""What is to be done, written into the incident before it is done, and what came of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Platform, Replica, Workload, WorkloadRef
from controller.metrics.service_level import ServiceLevel

__all__ = ["Leftover", "Mechanism", "Order", "Receipt", "ReceiptOutcome", "order_remediation"]


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
    replica_uids: tuple[str, ...] = ()
    """Of the same, since a StatefulSet's new replica bears the old one's name; empty where names suffice."""
    revision_before: str = ""
    """The template's revision that a restart changes, or that single replicas keep; empty where unknown."""
    expected_revision: str = ""
    """The template's revision that must come of it, where a restart does not change it; else empty."""
    service_before: ServiceLevel | None = None
    """How requests were served until then; None where the policy does not ask."""

    @property
    def repeatable(self) -> bool:
        """
        Whether doing it again does nothing more.

        The patch of a Kubernetes object carries its version, and an ECS task can be stopped only once; but
        every forced deployment of an ECS service is another one.
        """
        return self.workload.platform is Platform.KUBERNETES or self.mechanism is Mechanism.REPLACE

    @property
    def stepwise(self) -> bool:
        """Whether it is carried out one replica at a time."""
        return bool(self.replicas)

    def names(self, replica: Replica) -> bool:
        """Whether `replica` is one of those it replaces; always False where all are restarted by one act."""
        return replica.uid in self.replica_uids if self.replica_uids else replica.name in self.replicas

    def supersedes(self, replica: Replica) -> bool:
        """
        Whether `replica` is from before this order and to be gone when it is done.

        By uid, name or revision where those tell, since the clocks of two machines differ; by age where they
        do not.
        """
        if self.stepwise:
            return self.names(replica)
        if self.workload.platform is Platform.KUBERNETES and self.revision_before and replica.revision:
            return replica.revision == self.revision_before
        return replica.created_at < self.issued_at

    def cut_short(self, workload: Workload) -> "Order":
        """The same for those replicas only that are gone already or on their way out of `workload`."""
        standing = {
            one.name
            for one in workload.replicas
            if self.names(one) and not one.terminating and not one.released_for
        }
        kept = [index for index, name in enumerate(self.replicas) if name not in standing]
        return replace(
            self,
            replicas=tuple(self.replicas[index] for index in kept),
            replica_uids=tuple(self.replica_uids[index] for index in kept) if self.replica_uids else (),
        )


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
    waits_for: str = ""
    """What the next step waits for; empty where one was taken or none is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A replica that an order had let go, and what became of it when nobody finished that order."""

    incident: str
    namespace: str
    replica: str
    replica_uid: str
    returned: bool
    """Given back to its workload; ended otherwise, because the workload was whole without it or gone."""


def order_remediation(
    workload: Workload,
    choice: Choice,
    *,
    incident: str,
    memory_before_bytes: int | None,
    now: datetime,
    approved_by: str = "",
    service_before: ServiceLevel | None = None,
) -> Order:
    """The order to carry out `choice` on `workload` as it is now."""
    on_ecs = workload.ref.platform is Platform.ECS
    uids = {replica.name: replica.uid for replica in workload.replicas}
    replicas = tuple(name for name in choice.replicas if name in uids)
    # All of a Rollout's pods are replaced by some of the same revision: age tells which are old.
    same_revision = on_ecs or (workload.ref.kind == "Rollout" and not replicas)
    return Order(
        id=incident,
        mechanism=choice.mechanism,
        workload=workload.ref,
        workload_uid=workload.uid,
        expected_generation=workload.generation,
        issued_at=now.replace(microsecond=0),
        memory_before_bytes=memory_before_bytes,
        replicas=replicas,
        approved_by=approved_by,
        replica_uids=() if on_ecs else tuple(uids[name] for name in replicas),
        revision_before="" if same_revision else workload.template_revision,
        expected_revision=workload.template_revision if on_ecs else "",
        service_before=service_before,
    )
