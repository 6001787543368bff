"""The three questions people ask in front of a memory graph, answered."""

from dataclasses import dataclass

from controller.detection.assessment import GrowthClass
from controller.evidence.churn import Churn, cleared_suspects
from controller.evidence.goroutines import GOROUTINE_STACKS
from controller.evidence.growth_class import MemoryAccount
from controller.evidence.retainer import Retainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Each answer with its reason; None where the evidence does not say."""

    right_direction: bool | None
    """Whether the function at the top of `alloc_space` is also the one that holds the memory."""
    right_direction_because: str
    suspects_cleared: tuple[str, ...]
    can_memory_be_freed_by_hand: bool | None
    freed_by_hand_because: str


def answer(
    *,
    growth_class: GrowthClass,
    has_baseline: bool,
    is_blind: bool,
    retainers: tuple[Retainer, ...],
    churn: tuple[Churn, ...],
    guilty: frozenset[str],
    account: MemoryAccount,
) -> Answers:
    """Answers from what was found; `guilty` are functions named as retainers or causes."""
    right, why = _right_direction(retainers, churn, "growth" if has_baseline else "heap in use")
    if is_blind and not retainers:
        right, why = None, "the heap profile is blind, so no function can be blamed or cleared"
    freed, freed_why = _freed_by_hand(growth_class, account)
    return Answers(
        right_direction=right,
        right_direction_because=why,
        suspects_cleared=cleared_suspects(churn, guilty),
        can_memory_be_freed_by_hand=freed,
        freed_by_hand_because=freed_why,
    )


def _right_direction(
    retainers: tuple[Retainer, ...], churn: tuple[Churn, ...], of_what: str
) -> tuple[bool | None, str]:
    if not retainers:
        if churn:
            return False, f"{churn[0].function} allocates most and keeps nothing; the Go heap did not grow"
        return None, "the Go heap did not grow, so no function can be blamed for it"
    holder = retainers[0]
    if not churn and holder.allocator == GOROUTINE_STACKS:
        return False, f"no heap profile shows it: the stacks of {holder.function} hold it"
    if not churn or holder.alloc_bytes >= churn[0].alloc_bytes:
        return True, f"what allocates most also holds it: {holder.function}"
    return False, (
        f"alloc_space points at {churn[0].function}, which frees what it allocates; "
        f"{holder.function} holds the memory ({holder.share:.0%} of the {of_what})"
    )


def _freed_by_hand(growth_class: GrowthClass, account: MemoryAccount) -> tuple[bool | None, str]:
    unreturned = account.stats.unreturned_bytes if account.stats else None
    if growth_class in (GrowthClass.HEAP, GrowthClass.GOROUTINE):
        extra = (
            f"; {_mib(unreturned)} beside it are free and not yet returned: a GOMEMLIMIT gives these back"
            if account.is_unreturned
            else ""
        )
        return False, (
            "the memory is live, something still refers to it: neither runtime.GC nor debug.FreeOSMemory "
            f"frees it, only the fix or a restart does{extra}"
        )
    if growth_class is GrowthClass.NATIVE:
        return False, "the memory is outside the Go heap: Go's collector does not know it"
    if unreturned is None:
        return None, (
            "without MemStats (expvar's /debug/vars, or /metrics) it is not known how much Go holds free "
            "without having returned it"
        )
    if account.is_unreturned:
        return True, (
            f"{_mib(unreturned)} are free and not yet returned to the system: debug.FreeOSMemory or a "
            "GOMEMLIMIT brings them back, without a restart"
        )
    return False, f"only {_mib(unreturned)} are free and not returned: there is nothing to gain"


def _mib(size: int | None) -> str:
    return f"{(size or 0) / 2**20:.0f} MiB"
