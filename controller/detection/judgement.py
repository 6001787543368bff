"""From containers to replicas to the workload: one judgement from many assessments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.detection.assessment import Assessment, Verdict
from controller.inventory.workload import Workload

_GRAVITY = {
    Verdict.LEAKING: 3,
    Verdict.SUSPECT: 2,
    Verdict.INSUFFICIENT_DATA: 1,
    Verdict.HEALTHY: 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said about one workload: its worst container speaks for it."""

    worst: Assessment
    assessments: tuple[Assessment, ...]
    leaking_replicas: tuple[str, ...]
    """Names of replicas of which a governed container leaks."""
    replicas_of_age: int
    """Replicas that could be judged at all."""

    @property
    def verdict(self) -> Verdict:
        """The verdict of the worst container."""
        return self.worst.verdict

    @property
    def wholly(self) -> bool:
        """At least half of the replicas that could be judged leak."""
        return 2 * len(self.leaking_replicas) >= self.replicas_of_age

    @property
    def at(self) -> datetime:
        """When it was judged."""
        return self.worst.at


def judge(workload: Workload, assessments: Sequence[Assessment]) -> Judgement | None:
    """
    The judgement of `workload` from the assessments of its governed containers; None without any.

    The worst is the gravest verdict, then the earliest crossing, then the fullest container. What could not
    be judged outranks what is healthy: it may be full, and an incident must not end for want of data.
    """
    replicas = {replica.name for replica in workload.replicas if not replica.terminating}
    mine = tuple(assessment for assessment in assessments if assessment.key.pod in replicas)
    if not mine:
        return None
    return Judgement(
        worst=max(mine, key=_gravity),
        assessments=mine,
        leaking_replicas=_pods_with(mine, {Verdict.LEAKING}),
        replicas_of_age=len(_pods_with(mine, set(Verdict) - {Verdict.INSUFFICIENT_DATA})),
    )


def _pods_with(assessments: Sequence[Assessment], verdicts: set[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({item.key.pod for item in assessments if item.verdict in verdicts}))


def _gravity(assessment: Assessment) -> tuple[int, float, float]:
    earliest = assessment.crossing.earliest.timestamp() if assessment.crossing else float("inf")
    limit = assessment.limit_bytes or 0
    fullness = (assessment.used_bytes or 0) / limit if limit else 0.0
    return _GRAVITY[assessment.verdict], -earliest, fullness
