"""The diagnosis in one sentence, for an Event and for `kubectl get`."""

from controller.detection.assessment import GrowthClass
from controller.evidence.cause_matching import NamedCause
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.goroutines import GOROUTINE_STACKS
from controller.evidence.grown_heap import LEAST_KEPT_RATIO


def summarize(diagnosis: Diagnosis) -> str:
    """
    One line without a full stop, at most about 300 characters.

    For example `Goroutines blocked on a channel send in main.render (4999 goroutines more); main.render holds
    92 % of the growth of 24.1 MiB`.
    """
    if diagnosis.plain:
        return diagnosis.plain
    parts = [_cause(diagnosis), _holder(diagnosis)]
    told = "; ".join(part for part in parts if part)
    return told or _nothing(diagnosis)


def _cause(diagnosis: Diagnosis) -> str:
    if not diagnosis.causes:
        return ""
    first, *others = diagnosis.causes
    told = f"{first.cause.title}{_where(first)} ({first.evidence})"
    if others:
        told += f"; also {others[0].cause.title}{_where(others[0])}"
    return told


def _where(named: NamedCause) -> str:
    return f" in {_short(named.function)}" if named.function else ""


def _holder(diagnosis: Diagnosis) -> str:
    if not diagnosis.retainers:
        return ""
    top = diagnosis.retainers[0]
    if top.allocator == GOROUTINE_STACKS:
        return f"{_short(top.function)} holds {top.delta_bytes / 2**20:.1f} MiB of stacks"
    of_what = "growth" if diagnosis.has_baseline else "heap in use"
    told = (
        f"{_short(top.function)} holds {min(top.share, 1):.0%} of the {of_what} "
        f"of {diagnosis.growth_bytes / 2**20:.1f} MiB"
    )
    filling = diagnosis.has_baseline and not diagnosis.causes and top.kept_ratio < LEAST_KEPT_RATIO
    return (
        f"{told}, and freed {1 - top.kept_ratio:.0%} of what it allocated, as a cache does"
        if filling
        else told
    )


def _nothing(diagnosis: Diagnosis) -> str:
    if diagnosis.growth_class is GrowthClass.FRAGMENTATION:
        return "Go holds free memory it has not returned; a GOMEMLIMIT gives it back without a restart"
    return "the Go heap did not grow since the baseline; no cause is named"


def _short(function: str) -> str:
    """`cart.(*Store).Put` of `github.com/acme/shop/cart.(*Store).Put`; long names cut in the middle."""
    name = function.split("[", 1)[0]
    name = name[name.rfind("/", 0, name.find("(") if "(" in name else len(name)) + 1 :]
    return name if len(name) <= 80 else f"{name[:40]}…{name[-39:]}"
