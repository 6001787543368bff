"""What kind of memory grew, and whether freeing by hand would bring it back."""

from dataclasses import dataclass

from controller.detection.assessment import GrowthClass
from controller.evidence.memstats import MemStats

_LEAST_SHARE_OF_RSS = 0.25
_LEAST_BYTES = 16 << 20
_BUCKHASH_LOUD_SHARE = 0.10
_LEAST_STACK_BYTES = 2048
"""Of a goroutine: `runtime.stackMin`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAccount:
    """Where the process's memory is, in bytes; None where nobody told."""

    rss_bytes: int | None = None
    limit_bytes: int | None = None
    stats: MemStats | None = None

    @property
    def native_bytes(self) -> int | None:
        """Resident memory that Go does not account for: RSS − (Sys − HeapReleased)."""
        if self.rss_bytes is None or self.stats is None or self.stats.resident_bytes is None:
            return None
        return max(self.rss_bytes - self.stats.resident_bytes, 0)

    @property
    def has_native_growth(self) -> bool:
        """Whether memory outside Go is a large part of the process."""
        return _is_large(self.native_bytes, self.rss_bytes)

    @property
    def is_unreturned(self) -> bool:
        """Whether memory that Go holds free, but has not given back, is a large part of the process."""
        unreturned = self.stats.unreturned_bytes if self.stats else None
        return _is_large(unreturned, self.rss_bytes or (self.stats.sys if self.stats else None))

    @property
    def profiler_is_loud(self) -> bool:
        """Whether the profiler's own table is a large part (golang#69590: deep stacks)."""
        if self.stats is None or not self.stats.buckhash_sys or not self.stats.sys:
            return False
        return self.stats.buckhash_sys > max(_BUCKHASH_LOUD_SHARE * self.stats.sys, _LEAST_BYTES)


def _is_large(part: int | None, whole: int | None) -> bool:
    if part is None or not whole:
        return False
    return part >= max(_LEAST_SHARE_OF_RSS * whole, _LEAST_BYTES)


def classify(*, heap_grew: bool, goroutines_leak: bool, account: MemoryAccount) -> GrowthClass:
    """
    The class. Goroutines come before the heap: what they hold is on the heap because of them.

    Native memory comes next, where the heap stood still: the remainder also holds code and fragmentation.
    """
    if goroutines_leak:
        return GrowthClass.GOROUTINE
    if heap_grew:
        return GrowthClass.HEAP
    if account.has_native_growth:
        return GrowthClass.NATIVE
    if account.is_unreturned:
        return GrowthClass.FRAGMENTATION
    return GrowthClass.UNKNOWN


def stack_bytes_each(goroutine_count: int, stats: MemStats | None) -> int:
    """A goroutine's stack: the measured average, else the runtime's least."""
    if stats is None or not stats.stack_inuse or goroutine_count <= 0:
        return _LEAST_STACK_BYTES
    return max(stats.stack_inuse // goroutine_count, _LEAST_STACK_BYTES)
