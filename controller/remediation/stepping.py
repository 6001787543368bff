"""
The next step of an order that is carried out one replica at a time: from what stands to what to do.

It holds no state: after a crash at any line the same question is asked again of what stands then, so no
step can be forgotten and none is taken twice.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.inventory.workload import Replica, RolloutState, Workload
from controller.remediation.order import Mechanism, Order


class Act(StrEnum):
    """What a step does."""

    RELEASE = "Release"
    """The workload lets go of the replica, and makes another one in its place."""
    DELETE = "Delete"
    """The replica that was let go ends gracefully."""
    EVICT = "Evict"
    """The replica is asked to go, if its budgets allow it; another one takes its place afterwards."""
    WAIT = "Wait"
    NONE = "None"
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what, on which replica, or what it waits for."""

    act: Act
    replica: Replica | None = None
    waits_for: str = ""


def next_step(order: Order, workload: Workload) -> Step:
    """
    The next step of `order`, given `workload` as it is now.

    Never is a second replica begun before the first is gone and everything is ready again.
    """
    standing = [replica for replica in workload.replicas if order.names(replica)]
    if not standing:
        return Step(act=Act.NONE)
    ending = next((one for one in workload.replicas if one.terminating), None)
    if ending is not None:
        return _wait(f"{ending.name} is on its way out")
    released = next((one for one in workload.replicas if one.released_for), None)
    if released is not None:
        return _finish(released, order, workload)
    if obstacle := _obstacle(order, workload):
        return _wait(obstacle)
    turn = {name: position for position, name in enumerate(order.replicas)}
    following = min(standing, key=lambda one: turn.get(one.name, len(turn)))
    return Step(act=Act.EVICT if order.mechanism is Mechanism.EVICT else Act.RELEASE, replica=following)


def begun(order: Order, workload: Workload) -> bool:
    """Whether any of the ordered replicas is gone, or on its way out."""
    named = [replica for replica in workload.replicas if order.names(replica)]
    return len(named) < len(order.replicas) or any(one.terminating or one.released_for for one in named)


def whole(workload: Workload) -> bool:
    """Whether every replica it wants is there, ready, and has been so for as long as it asks."""
    available = workload.available_replicas
    return workload.serving_replicas >= workload.desired_replicas and (
        available is None or available >= workload.desired_replicas
    )


def _finish(released: Replica, order: Order, workload: Workload) -> Step:
    if released.released_for != order.id:
        return _wait(f"{released.name} was released for incident {released.released_for}")
    if not whole(workload):
        return _wait(
            f"the replacement of {released.name}: {workload.serving_replicas} of "
            f"{workload.desired_replicas} replicas are ready without it"
        )
    return Step(act=Act.DELETE, replica=released)


def _obstacle(order: Order, workload: Workload) -> str:
    """Why no replica may be begun now; empty where one may."""
    if order.revision_before and workload.template_revision != order.revision_before:
        return "it was deployed meanwhile; that rollout replaces what is left"
    if workload.rollout is not RolloutState.STEADY:
        return workload.rollout_message or f"its rollout is {workload.rollout}"
    if not whole(workload):
        return f"{workload.serving_replicas} of {workload.desired_replicas} replicas are ready"
    if order.mechanism is Mechanism.EVICT and workload.overlapping_budgets:
        # The API server evicts no pod that more than one of them covers.
        return f"PodDisruptionBudgets {', '.join(workload.overlapping_budgets)} cover the same replica"
    for budget in workload.disruption_budgets:
        if not budget.current or budget.disruptions_allowed < 1:
            return f"PodDisruptionBudget {budget.name} allows no disruption now"
    return ""


def _wait(why: str) -> Step:
    return Step(act=Act.WAIT, waits_for=why)
