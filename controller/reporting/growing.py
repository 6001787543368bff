"""Workloads of a policy that grow, as its status lists them: also those that have no incident."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.detection.assessment import GrowthClass, Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import WorkloadRef
from controller.reporting.material import crossing_moved, moved

MOST_LISTED = 32
"""A status is read whole by everybody who reads the policy; what is left out is counted there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """One workload that is `Leaking` or `Suspect`, by its worst container."""

    namespace: str
    kind: str
    name: str
    container: str
    verdict: Verdict
    growth_class: GrowthClass
    message: str
    growth_bytes_per_hour: int | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    crosses_threshold_at: datetime | None = None

    @property
    def workload(self) -> tuple[str, str, str]:
        """Namespace, kind and name."""
        return self.namespace, self.kind, self.name


def growing(judged: Iterable[tuple[WorkloadRef, Judgement]]) -> tuple[Growing, ...]:
    """Those that grow; where there are too many, those with the least time left. In order of their names."""
    found = [
        _growing(ref, judgement)
        for ref, judgement in judged
        if judgement.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
    ]
    return tuple(sorted(sorted(found, key=_time_left)[:MOST_LISTED], key=lambda one: one.workload))


def kept_where_the_same(old: Sequence[Growing], new: Sequence[Growing], now: datetime) -> tuple[Growing, ...]:
    """`new`, with the entries of `old` where nothing moved enough to be written again."""
    before = {one.workload: one for one in old}
    return tuple(
        standing if (standing := before.get(one.workload)) and not _differs(standing, one, now) else one
        for one in new
    )


def _growing(ref: WorkloadRef, judgement: Judgement) -> Growing:
    worst = judgement.worst
    return Growing(
        namespace=ref.namespace,
        kind=ref.kind,
        name=ref.name,
        container=worst.key.container,
        verdict=worst.verdict,
        growth_class=worst.growth_class,
        message=worst.message[:512],
        growth_bytes_per_hour=int(worst.growth.bytes_per_hour) if worst.growth else None,
        used_bytes=worst.used_bytes,
        limit_bytes=worst.limit_bytes,
        crosses_threshold_at=worst.crossing.likely.replace(microsecond=0) if worst.crossing else None,
    )


def _time_left(one: Growing) -> tuple[float, bool, tuple[str, str, str]]:
    at = one.crosses_threshold_at
    return at.timestamp() if at else float("inf"), one.verdict is not Verdict.LEAKING, one.workload


def _differs(old: Growing, new: Growing, now: datetime) -> bool:
    return (
        (old.verdict, old.container, old.growth_class) != (new.verdict, new.container, new.growth_class)
        or moved(old.used_bytes, new.used_bytes)
        or old.limit_bytes != new.limit_bytes
        or crossing_moved(old.crosses_threshold_at, new.crosses_threshold_at, now)
    )
