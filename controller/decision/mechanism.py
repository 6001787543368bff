"""How a remediation would be carried out, and why so: chosen before the gates, since some depend on it."""

from dataclasses import dataclass
from enum import StrEnum

from controller.decision.situation import Situation
from controller.detection.assessment import Assessment, Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import Platform
from controller.policy.memory_policy import Strategy


class Mechanism(StrEnum):
    """How a remediation is carried out."""

    ROLLING_RESTART = "RollingRestart"
    REPLACE = "Replace"
    EVICT = "Evict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A mechanism, the replicas it is for, and why it was chosen."""

    mechanism: Mechanism
    because: str
    replicas: tuple[str, ...] = ()
    """Those it is for, in the order of their turn; empty where all are restarted by one act."""
    refusal: str = ""
    """Why the workload would not carry it out; empty where it would."""


def choose(situation: Situation) -> Choice:
    """
    The mechanism for `situation` (docs/mechanisms.md).

    A restart that a person asks for is meant for the workload, so for every replica, whichever of them grow.
    Replicas of one age cross the threshold one soon after the other, so one that is suspected by now, or has
    grown as much, counts like one that is known to leak when it is asked whether most of them grow.
    """
    if situation.workload.ref.platform is Platform.ECS:
        return _on_ecs(situation)
    match situation.policy.remediation.strategy:
        case Strategy.ROLLING_RESTART:
            return _restart(situation, _ASKED)
        case Strategy.REPLACE:
            return _replace(situation, _ASKED)
        case Strategy.EVICT:
            return _evict(situation, _ASKED)
        case Strategy.AUTO:
            return _on_kubernetes(situation)


def choose_mechanism(situation: Situation) -> Mechanism:
    """The mechanism alone."""
    return choose(situation).mechanism


_ASKED = "the policy's strategy"
_STOPS_MORE = {
    "DaemonSet": "a rollout would stop one on every node",
    "Rollout": "its restart would evict the others, too",
}
"""Why single replicas are rather evicted."""


def _on_kubernetes(situation: Situation) -> Choice:
    workload, share = situation.workload, _share(situation)
    if workload.ref.kind == "StatefulSet":
        if workload.desired_replicas < 2:
            return _restart(situation, "it has one replica")
        return _evict(situation, f"{share}; a StatefulSet's replicas are evicted one ordinal at a time")
    if _all_are_meant(situation):
        return _restart(situation, share)
    if workload.ref.kind == "Deployment" and not workload.replace_refusal:
        return _replace(situation, f"only {share}")
    if workload.ref.kind in _STOPS_MORE and not workload.replaces_before_stopping:
        return _evict(situation, f"only {share}; {_STOPS_MORE[workload.ref.kind]}")
    return _restart(situation, f"only {share}, but {workload.replace_refusal or 'no other way is as gentle'}")


def _on_ecs(situation: Situation) -> Choice:
    workload, share = situation.workload, _share(situation)
    asked = situation.policy.remediation.strategy
    if asked is Strategy.ROLLING_RESTART:
        return _restart(situation, _ASKED)
    if workload.desired_replicas < 2:
        # A stopped task is replaced after it stopped: alone, it cannot be replaced without an outage.
        return _restart(situation, "it has one task")
    if asked is Strategy.AUTO and _all_are_meant(situation):
        return _restart(situation, share)
    # ECS evicts nothing: a stopped task is replaced afterwards, which is what both words ask for here.
    return _replace(situation, f"only {share}" if asked is Strategy.AUTO else _ASKED)


def _restart(situation: Situation, because: str) -> Choice:
    return Choice(
        mechanism=Mechanism.ROLLING_RESTART, because=because, refusal=situation.workload.restart_refusal
    )


def _replace(situation: Situation, because: str) -> Choice:
    return Choice(
        mechanism=Mechanism.REPLACE,
        because=because,
        replicas=_worst_first(situation),
        refusal=situation.workload.replace_refusal,
    )


def _evict(situation: Situation, because: str) -> Choice:
    workload, names = situation.workload, _worst_first(situation)
    if _all_are_meant(situation):
        names = _present(situation)
    if workload.ref.kind == "StatefulSet":
        names = tuple(sorted(names, key=_ordinal, reverse=True))
    return Choice(mechanism=Mechanism.EVICT, because=because, replicas=names)


def _ordinal(name: str) -> int:
    """The number at the end of a StatefulSet's pod: its own controller, too, goes from the highest down."""
    text = name.rpartition("-")[2]
    return int(text) if text.isdigit() else -1


def _present(situation: Situation) -> tuple[str, ...]:
    return tuple(one.name for one in situation.workload.replicas if not one.terminating)


def _worst_first(situation: Situation) -> tuple[str, ...]:
    """
    The leaking replicas, the worst first; those that are suspected where none is known to leak.

    All that there are where a person asks for the restart.
    """
    judgement, worst = situation.judgement, situation.judgement.worst.key.pod
    names = (set(judgement.leaking_replicas) or _growing(judgement)) | {worst}
    if situation.restart_requested:
        names = set(_present(situation))
    return tuple(sorted(names, key=lambda name: (name != worst, name)))


def _share(situation: Situation) -> str:
    if situation.restart_requested:
        return "asked for by hand, for every replica"
    judgement = situation.judgement
    return f"{len(_growing(judgement))} of {judgement.replicas_of_age} replicas grow"


def _all_are_meant(situation: Situation) -> bool:
    return situation.restart_requested or _most_grow(situation.judgement)


def _most_grow(judgement: Judgement) -> bool:
    return 2 * len(_growing(judgement)) >= judgement.replicas_of_age


GROWN_ALIKE_RATIO = 0.5
"""Of what the worst replica has grown since its start: who has grown as much is no proof of a healthy one."""


def _growing(judgement: Judgement) -> set[str]:
    """
    Replicas that are known to grow, are suspected, or have grown alike though nothing is proven yet.

    To replace single replicas the others must be seen to be different: among equals the first to be judged
    would otherwise be taken for the only one.
    """
    most = _grown(judgement.worst)
    return {
        one.key.pod
        for one in judgement.assessments
        if one.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        or (
            one.key.container == judgement.worst.key.container and _grown(one) >= GROWN_ALIKE_RATIO * most > 0
        )
    }


def _grown(assessment: Assessment) -> int:
    """What it uses more than soon after its start, in bytes; 0 where that is not known."""
    return max((assessment.used_bytes or 0) - (assessment.young_floor_bytes or assessment.used_bytes or 0), 0)
