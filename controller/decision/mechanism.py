"""How a remediation would be carried out: chosen before the gates, since some of them depend on it."""

from enum import StrEnum

from controller.decision.situation import Situation
from controller.inventory.workload import Platform
from controller.policy.memory_policy import Strategy


class Mechanism(StrEnum):
    """How a remediation is carried out."""

    ROLLING_RESTART = "RollingRestart"
    REPLACE = "Replace"


def choose_mechanism(situation: Situation) -> Mechanism:
    """
    `Replace` for the leaking ECS tasks of a service whose other tasks do not leak, else `RollingRestart`.

    A single replica cannot be replaced without an outage, since a stopped task is replaced after it stopped.
    """
    workload = situation.workload
    if (
        workload.ref.platform is not Platform.ECS
        or situation.policy.remediation.strategy is Strategy.ROLLING_RESTART
        or situation.judgement.wholly
        or workload.desired_replicas < 2
    ):
        return Mechanism.ROLLING_RESTART
    return Mechanism.REPLACE
