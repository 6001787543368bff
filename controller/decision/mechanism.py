"""How a remediation would be carried out: chosen before the gates, since some of them depend on it."""

from enum import StrEnum

from controller.decision.situation import Situation
from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import Platform
from controller.policy.memory_policy import Strategy


class Mechanism(StrEnum):
    """How a remediation is carried out."""

    ROLLING_RESTART = "RollingRestart"
    REPLACE = "Replace"


def choose_mechanism(situation: Situation) -> Mechanism:
    """
    `Replace` for the leaking ECS tasks of a service most of whose tasks do not grow, else `RollingRestart`.

    Tasks of one age cross the threshold one soon after the other, so one that is suspected by now counts
    like one that is known to leak. A single replica cannot be replaced without an outage, since a stopped
    task is replaced after it stopped.
    """
    workload = situation.workload
    if (
        workload.ref.platform is not Platform.ECS
        or situation.policy.remediation.strategy is Strategy.ROLLING_RESTART
        or _most_grow(situation.judgement)
        or workload.desired_replicas < 2
    ):
        return Mechanism.ROLLING_RESTART
    return Mechanism.REPLACE


def _most_grow(judgement: Judgement) -> bool:
    growing = {
        one.key.pod for one in judgement.assessments if one.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
    }
    return 2 * len(growing) >= judgement.replicas_of_age
