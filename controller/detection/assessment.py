"""The judgement of one container: verdict, reason, numbers. Only this stage makes one."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.metrics.series import ContainerKey


class Verdict(StrEnum):
    """What the memory of a container does. Absence of data is never `Healthy`."""

    LEAKING = "Leaking"
    SUSPECT = "Suspect"
    HEALTHY = "Healthy"
    INSUFFICIENT_DATA = "InsufficientData"


class GrowthClass(StrEnum):
    """What grows."""

    HEAP = "heap"
    GOROUTINE = "goroutine"
    NATIVE = "native"
    PAGE_CACHE = "pageCache"
    SHMEM = "shmem"
    KERNEL = "kernel"
    FRAGMENTATION = "fragmentation"
    UNKNOWN = "unknown"


RESTART_FREES = frozenset(
    {
        GrowthClass.HEAP,
        GrowthClass.GOROUTINE,
        GrowthClass.NATIVE,
        GrowthClass.FRAGMENTATION,
        GrowthClass.UNKNOWN,
    }
)
"""Classes whose memory belongs to the process, so that a restart gives it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A slope with its interval, in bytes per hour."""

    bytes_per_hour: float
    low_bytes_per_hour: float
    high_bytes_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """When memory reaches the policy's threshold if it goes on as it does. Aware UTC."""

    earliest: datetime
    likely: datetime
    latest: datetime | None
    """None where the lower end of the slope does not reach the threshold at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is said about one container at one moment."""

    key: ContainerKey
    at: datetime
    verdict: Verdict
    reason: str
    """A value of `controller.detection.reasons.AssessmentReason`."""
    message: str
    """One sentence with the numbers that decided."""
    growth_class: GrowthClass = GrowthClass.UNKNOWN
    growth: Growth | None = None
    crossing: Crossing | None = None
    onset: datetime | None = None
    """Since when it grows."""
    firm: bool = True
    """False where the growth is so young that it may still stop by itself, or is only suspected."""
    critical_earliest: datetime | None = None
    """
    When memory reaches the critical line if it goes on as it does: at the earliest, or most likely where no
    leak is told (any more). Aware UTC.
    """
    used_bytes: int | None = None
    """The working set now; resident memory where no working set is measured."""
    limit_bytes: int | None = None
    threshold_bytes: int | None = None
    young_floor_bytes: int | None = None
    """The floor of this run when it was young and warm: what a restart can bring memory back to."""
    started_at: datetime | None = None
    ready_at: datetime | None = None
    """For `InsufficientData`: when the answer could change."""
    tests: tuple[tuple[str, float], ...] = field(default=())
    """Each test's number, by name, for `bilgepump explain`."""
