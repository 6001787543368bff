"""What to set meanwhile: GOMEMLIMIT, GOGC and the limit, with numbers."""

from dataclasses import dataclass

from controller.detection.assessment import GrowthClass
from controller.evidence.growth_class import MemoryAccount
from controller.evidence.memstats import NO_GOMEMLIMIT

_HEADROOM_RATIO = 0.10
"""Between GOMEMLIMIT and the container's limit: the Go GC guide advises 5–10 % for what Go does not see."""
_MEBIBYTE = 1 << 20
_GO_NEEDS_RATIO = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Sentences for people; the values in `gomemlimit_bytes` for machines."""

    gomemlimit: str
    gogc: str
    limit: str
    gomemlimit_bytes: int | None = None
    settings: tuple[str, ...] = ()
    """For other runtimes than Go: what to set or to run."""


def advise(growth_class: GrowthClass, account: MemoryAccount) -> Advice:
    """Advice for a class of growth; says plainly where a setting would not help."""
    value = _gomemlimit(account)
    live = growth_class in (GrowthClass.HEAP, GrowthClass.GOROUTINE)
    return Advice(
        gomemlimit=_gomemlimit_sentence(value, live=live, account=account),
        gogc=_gogc_sentence(growth_class),
        limit=_limit_sentence(growth_class, account),
        gomemlimit_bytes=value,
    )


def _gomemlimit(account: MemoryAccount) -> int | None:
    """The limit less a tenth and less what C code holds, in whole MiB."""
    if not account.limit_bytes:
        return None
    value = int(account.limit_bytes * (1 - _HEADROOM_RATIO)) - (account.native_bytes or 0)
    return max(value, int(account.limit_bytes * _GO_NEEDS_RATIO)) // _MEBIBYTE * _MEBIBYTE


def _gomemlimit_sentence(value: int | None, *, live: bool, account: MemoryAccount) -> str:
    if value is None:
        return f"GOMEMLIMIT = 90 % of the memory limit{_gomemlimit_now(account)} (give --limit for a number)"
    sentence = f"GOMEMLIMIT={value // _MEBIBYTE}MiB{_gomemlimit_now(account)}"
    if live:
        sentence += ": collects earlier near the limit, but cannot free what is still referred to"
    return sentence


def _gomemlimit_now(account: MemoryAccount) -> str:
    now = account.stats.gomemlimit if account.stats else None
    if now is None:
        return ""
    return " (none is set)" if now >= NO_GOMEMLIMIT else f" (now {now // _MEBIBYTE}MiB)"


def _gogc_sentence(growth_class: GrowthClass) -> str:
    if growth_class in (GrowthClass.HEAP, GrowthClass.GOROUTINE):
        return "leave GOGC as it is: a lower one collects more often and frees none of the leak"
    if growth_class is GrowthClass.FRAGMENTATION:
        return "GOGC=50 keeps peaks lower, at the price of CPU"
    return "leave GOGC at 100"


def _limit_sentence(growth_class: GrowthClass, account: MemoryAccount) -> str:
    if growth_class is GrowthClass.UNKNOWN:
        return "no reason to change the limit"
    now = f" (now {account.limit_bytes // _MEBIBYTE} MiB)" if account.limit_bytes else ""
    if growth_class is GrowthClass.FRAGMENTATION:
        return f"keep the limit{now}: with GOMEMLIMIT the memory is given back"
    return f"a higher limit{now} only postpones it: plan restarts until the fix is out"
