"""
The diagnosis of one replica: what leaks, what only churns, which cause fits, and what to do meanwhile.

It answers the three questions people ask: are we looking in the right place, is the usual suspect guilty, and
can memory be freed by hand.
"""

from dataclasses import dataclass, replace

from controller.detection.assessment import GrowthClass
from controller.evidence.advice import Advice, advise
from controller.evidence.answers import Answers, answer
from controller.evidence.cause_matching import (
    GrownGoroutines,
    NamedCause,
    causes_outside_go,
    is_accused,
    leaked_libraries,
    name_causes,
)
from controller.evidence.churn import Churn, find_churn
from controller.evidence.comparison import Comparison, compare
from controller.evidence.flame import FlameNode, flame_of
from controller.evidence.goroutines import (
    MOST_GROUPS,
    GoroutineGroup,
    group_goroutines,
    has_leaked,
    stack_retainers,
)
from controller.evidence.grown_heap import (
    LEAST_KEPT_RATIO,
    GrownHeap,
    is_filling,
    is_made_once,
    retainer_named,
    rows_of,
)
from controller.evidence.growth_class import MemoryAccount, classify, stack_bytes_each
from controller.evidence.held_elsewhere import made_by_workers
from controller.evidence.memstats import read_memstats
from controller.evidence.origin import Origin
from controller.evidence.other_runtimes import judge_runtime
from controller.evidence.plateau import Halves
from controller.evidence.profile import ProfileLimits, read_profile
from controller.evidence.retainer import (
    MOST_RETAINERS,
    Retainer,
    find_retainers,
    growth_by_owner,
    owners,
    ranked,
)
from controller.evidence.runtime_metrics import Runtime, RuntimeMemory, read_runtime_metrics
from controller.evidence.sampling import (
    FEW_SAMPLES,
    SamplingError,
    goroutines_by_descriptors,
    growth_error,
)

_LEAST_GROWTH_BYTES = 2 << 20
_BLIND_CONFIDENCE = 0.1
_LEAST_SHOWN_RATIO = 0.4
_LEAST_MISSING_BYTES = 8 << 20
_LEAST_GROWTH_RATIO = 0.05
"""Of what was in use before: less is the breathing of a busy program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    The files of one replica as they were taken, and what is known beside them.

    Needed is `heap`, or of a program without pprof `metrics`.
    """

    heap: bytes = b""
    heap_baseline: bytes | None = None
    heap_between: bytes | None = None
    """Taken between the two: tells a cache that fills from a leak that goes on."""
    goroutines: bytes | None = None
    goroutines_baseline: bytes | None = None
    goroutineleak: bytes | None = None
    memstats: bytes | None = None
    metrics: bytes | None = None
    """The answer of the program's own `/metrics`, in Prometheus' text format."""
    metrics_baseline: bytes | None = None
    rss_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything that is said about one replica's memory."""

    growth_class: GrowthClass
    confidence: float
    growth_bytes: float
    plus_minus_bytes: float
    """Half the 95 % interval of the growth that sampling leaves."""
    explained_share: float
    """Of the growth (heap and goroutine stacks; of the resident memory where most of it is native)."""
    has_baseline: bool
    retainers: tuple[Retainer, ...]
    churn: tuple[Churn, ...]
    goroutines: tuple[GoroutineGroup, ...]
    causes: tuple[NamedCause, ...]
    answers: Answers
    advice: Advice
    warnings: tuple[str, ...]
    flame: FlameNode
    runtime: Runtime = Runtime.GO
    plain: str = ""
    """In a sentence, where only metrics were there to read."""

    @property
    def meanwhile(self) -> tuple[str, ...]:
        """What to set or to run until the fix is out, the most useful first."""
        of_go = (self.advice.gomemlimit, self.advice.gogc) if self.runtime is Runtime.GO else ()
        return (*self.advice.settings, *of_go, self.advice.limit)


def diagnose(evidence: Evidence, limits: ProfileLimits | None = None) -> Diagnosis:
    """Reads the files and says what they show. Raises ProfileRejected."""
    metrics = read_runtime_metrics(evidence.metrics) if evidence.metrics else None
    if metrics is not None and not evidence.heap:
        return _from_metrics(metrics, evidence)
    comparison = _compared(evidence, limits)
    positions = owners(comparison)
    retainers = find_retainers(comparison, positions)
    goroutines = _goroutines(evidence, limits)
    account = _account(evidence, metrics)
    error = growth_error(comparison)
    grew = _grew(comparison, error)
    heap = GrownHeap(
        comparison=comparison,
        owner_positions=positions,
        retainers=retainers,
        halves=_halves(evidence, limits),
    )
    causes = name_causes(heap if grew else None, goroutines, any_heap=heap)
    retainers = _with_workers(heap, goroutines, causes)
    goroutines_leak = any(each.by_goroutines for each in causes) or any(
        has_leaked(each, has_baseline=goroutines.has_baseline) for each in goroutines.groups
    )
    growth_class = classify(
        heap_grew=grew and comparison.has_baseline, goroutines_leak=goroutines_leak, account=account
    )
    if growth_class is GrowthClass.NATIVE:
        causes = (*causes_outside_go(account, heap), *causes)
    holders = retainers if grew else ()
    if growth_class is GrowthClass.GOROUTINE and (not holders or holders[0].origin < Origin.LIBRARY):
        holders = _with_stacks(holders, comparison, goroutines, account)
    churn = find_churn(comparison, positions)
    return Diagnosis(
        growth_class=GrowthClass.HEAP
        if growth_class is GrowthClass.UNKNOWN and not comparison.has_baseline
        else growth_class,
        confidence=_confidence(comparison, error, account, grew=grew),
        growth_bytes=comparison.growth_bytes,
        plus_minus_bytes=error.plus_minus_bytes,
        explained_share=_explained_share(growth_class, comparison, retainers, goroutines, account),
        has_baseline=comparison.has_baseline,
        retainers=holders[:MOST_RETAINERS],
        churn=churn,
        goroutines=goroutines.groups[:MOST_GROUPS],
        causes=causes,
        answers=answer(
            growth_class=growth_class,
            has_baseline=comparison.has_baseline,
            is_blind=_is_blind(comparison),
            retainers=holders,
            churn=churn,
            guilty=_guilty(holders, causes, churn),
            account=account,
        ),
        advice=advise(growth_class, account),
        warnings=(
            *_warnings(comparison, error, account, goroutines, grew=grew),
            *(_cache_notes(heap) if grew and not causes else ()),
        ),
        flame=flame_of(comparison),
    )


def _from_metrics(now: RuntimeMemory, evidence: Evidence) -> Diagnosis:
    before = read_runtime_metrics(evidence.metrics_baseline) if evidence.metrics_baseline else None
    found = judge_runtime(now, before, rss_bytes=evidence.rss_bytes, limit_bytes=evidence.limit_bytes)
    return Diagnosis(
        growth_class=found.growth_class,
        confidence=found.confidence,
        growth_bytes=found.growth_bytes,
        plus_minus_bytes=0.0,
        explained_share=found.explained_share,
        has_baseline=found.has_baseline,
        retainers=(),
        churn=(),
        goroutines=(),
        causes=(),
        answers=found.answers,
        advice=found.advice,
        warnings=found.warnings,
        flame=FlameNode(function="all that grew", bytes=0.0, origin=Origin.RUNTIME),
        runtime=found.runtime,
        plain=found.sentence,
    )


def _account(evidence: Evidence, metrics: RuntimeMemory | None) -> MemoryAccount:
    """MemStats as they were taken with the heap, else from the metrics, which alone know GOMEMLIMIT."""
    told = metrics.go if metrics else None
    stats = read_memstats(evidence.memstats) if evidence.memstats else told
    if stats is not None and told is not None and stats.gomemlimit is None:
        stats = replace(stats, gomemlimit=told.gomemlimit)
    known = (evidence.rss_bytes, metrics.rss_bytes if metrics else None)
    # What is given may count page cache or other processes as well: only the least is surely the program's.
    rss = min((each for each in known if each), default=None)
    return MemoryAccount(rss_bytes=rss, limit_bytes=evidence.limit_bytes, stats=stats)


def _compared(evidence: Evidence, limits: ProfileLimits | None) -> Comparison:
    baseline = read_profile(evidence.heap_baseline, limits) if evidence.heap_baseline else None
    return compare(read_profile(evidence.heap, limits), baseline)


def _halves(evidence: Evidence, limits: ProfileLimits | None) -> Halves | None:
    """Rates of growth mean something within one process only: the baseline may be of another replica."""
    if evidence.heap_baseline is None or evidence.heap_between is None:
        return None
    first, middle, last = (
        read_profile(each, limits) for each in (evidence.heap_baseline, evidence.heap_between, evidence.heap)
    )
    halves = compare(middle, first), compare(last, middle)
    if first.taken_at is None or middle.taken_at is None or last.taken_at is None:
        return None
    if not (halves[0].same_process and halves[1].same_process):
        return None
    return Halves(
        first=growth_by_owner(halves[0]),
        second=growth_by_owner(halves[1]),
        first_seconds=(middle.taken_at - first.taken_at).total_seconds(),
        second_seconds=(last.taken_at - middle.taken_at).total_seconds(),
    )


def _goroutines(evidence: Evidence, limits: ProfileLimits | None) -> GrownGoroutines:
    if evidence.goroutines is None and evidence.goroutineleak is None:
        return GrownGoroutines()
    before = read_profile(evidence.goroutines_baseline, limits) if evidence.goroutines_baseline else None
    now = read_profile(evidence.goroutines, limits) if evidence.goroutines else None
    leaked = read_profile(evidence.goroutineleak, limits) if evidence.goroutineleak else None
    return GrownGoroutines(
        groups=group_goroutines(now, before) if now else (),
        leaked=group_goroutines(leaked, sample_type=_only_type(leaked.sample_types)) if leaked else (),
        has_baseline=before is not None,
    )


def _only_type(sample_types: tuple[str, ...]) -> str:
    return "goroutineleak" if "goroutineleak" in sample_types else "goroutine"


def _guilty(
    retainers: tuple[Retainer, ...], causes: tuple[NamedCause, ...], churn: tuple[Churn, ...]
) -> frozenset[str]:
    """Functions that are not cleared, however little of what they allocate stays."""
    accused = {each.function for each in churn if any(is_accused(cause, each.function) for cause in causes)}
    return frozenset(accused | {each.function for each in retainers[:3]})


def _with_stacks(
    holders: tuple[Retainer, ...],
    comparison: Comparison,
    goroutines: GrownGoroutines,
    account: MemoryAccount,
) -> tuple[Retainer, ...]:
    """
    Beside what Go's own packages hold (a connection's buffers, say), the goroutines that wait: whoever left
    them is named by their stacks. Shares are then of heap and stacks together.
    """
    bytes_each = stack_bytes_each(sum(group.count for group in goroutines.groups), account.stats)
    stacks = sum(max(group.delta, 0) for group in goroutines.groups) * bytes_each
    whole = max(max(comparison.growth_bytes, 0.0) + stacks, 1.0)
    waiting = stack_retainers(goroutines.groups, bytes_each=bytes_each, growth_bytes=whole)
    if any(each.origin > Origin.RUNTIME for each in holders):
        waiting = tuple(each for each in waiting if each.origin >= Origin.LIBRARY)
    if not waiting:
        return holders
    beside = [replace(each, share=each.delta_bytes / whole) for each in holders]
    # What was allocated for a connection is held by the handler that waits on the same stack.
    above = [each for each in waiting if beside and _runs_under(each, beside[0].function)]
    return (*above, *ranked(each for each in (*waiting, *beside) if each not in above))


def _runs_under(waiting: Retainer, function: str) -> bool:
    return waiting.function != function and any(frame.function == function for frame in waiting.stack)


def _with_workers(
    heap: GrownHeap, goroutines: GrownGoroutines, causes: tuple[NamedCause, ...]
) -> tuple[Retainer, ...]:
    """What a library's workers made by themselves counts for the function that is named for starting them."""
    modules = leaked_libraries(goroutines)
    named = (retainer_named(heap, each.function) for each in causes if each.cause.starts_workers)
    starter = next((each for each in named if each is not None and each.origin >= Origin.ENTRY), None)
    if not modules or starter is None:
        return heap.retainers
    made = made_by_workers(heap.comparison, modules)
    return find_retainers(heap.comparison, heap.owner_positions, dict.fromkeys(made, starter.function))


def _grew(comparison: Comparison, error: SamplingError) -> bool:
    """Whether the growth is material, and more than sampling could pretend."""
    if not comparison.has_baseline:
        return True
    before = float(comparison.inuse_bytes.sum()) - comparison.growth_bytes
    least = max(_LEAST_GROWTH_BYTES, _LEAST_GROWTH_RATIO * before, error.plus_minus_bytes)
    return comparison.growth_bytes > least


def _confidence(comparison: Comparison, error: SamplingError, account: MemoryAccount, *, grew: bool) -> float:
    if _is_blind(comparison) or _shows_too_little(comparison, account):
        return _BLIND_CONFIDENCE
    if not comparison.has_baseline:
        return 0.4
    certain = 0.95 if comparison.same_process else 0.8
    few = min(1.0, (error.sampled_blocks / FEW_SAMPLES) ** 0.5) if grew and comparison.period > 1 else 1.0
    large = grew and error.plus_minus_bytes < 0.1 * comparison.growth_bytes
    return round(certain * (1.0 if large else few), 2)


def _explained_share(
    growth_class: GrowthClass,
    comparison: Comparison,
    retainers: tuple[Retainer, ...],
    goroutines: GrownGoroutines,
    account: MemoryAccount,
) -> float:
    """Of heap and stack growth, what functions and goroutine groups hold."""
    delta = sum(each.delta for each in goroutines.groups) if goroutines.has_baseline else 0
    count = sum(each.count for each in goroutines.groups)
    stacks = max(delta, 0) * stack_bytes_each(count, account.stats)
    named = sum(each.delta_bytes for each in retainers if each.origin > Origin.RUNTIME)
    overhead = sum(each.delta_bytes for each in retainers if each.origin <= Origin.RUNTIME)
    whole = max(comparison.growth_bytes, named) + stacks
    if growth_class is GrowthClass.NATIVE and account.rss_bytes:
        whole = float(account.rss_bytes)
        named = float(comparison.inuse_bytes.sum())
    if growth_class is GrowthClass.GOROUTINE:
        named += stacks + overhead
    if whole < _LEAST_GROWTH_BYTES / 2:
        return 0.0
    return round(min(max(named / whole, 0.0), 1.0), 3)


def _warnings(
    comparison: Comparison,
    error: SamplingError,
    account: MemoryAccount,
    goroutines: GrownGoroutines,
    *,
    grew: bool,
) -> list[str]:
    told = []
    if not comparison.has_baseline:
        told.append(
            "no baseline: what is in use now is shown, not what grew, and a large heap is not yet a leak; "
            "take a second profile later and give this one as --baseline"
        )
    elif not comparison.same_process:
        told.append("the baseline is of another process: allocation totals are since the start of this one")
    if grew and error.plus_minus_bytes > 0.1 * abs(comparison.growth_bytes):
        told.append(
            f"sampling: the growth of {comparison.growth_bytes / 2**20:.1f} MiB rests on "
            f"{error.sampled_blocks:.0f} sampled blocks, ± {error.plus_minus_bytes / 2**20:.1f} MiB (95 %)"
            + (
                f"; fewer than {FEW_SAMPLES}: take a later profile"
                if error.sampled_blocks < FEW_SAMPLES
                else ""
            )
        )
    if _is_blind(comparison):
        told.append(
            "the heap profile is blind: MemProfileRate is 0; leave it at its default, 524288, which costs "
            "next to nothing, and take both profiles again"
        )
    elif _shows_too_little(comparison, account):
        told.append(
            f"the heap profile shows only {comparison.inuse_bytes.sum() / 2**20:.0f} MiB of what HeapAlloc "
            "says is in use: was MemProfileRate set after the program had begun to allocate?"
        )
    if comparison.period > 4 << 20:
        told.append(
            f"MemProfileRate is {comparison.period}: small leaks are invisible (the default is 524288)"
        )
    if account.profiler_is_loud:
        told.append(
            "the profiler's own table (BuckHashSys) is a large part of the memory: GODEBUG=profstackdepth=32 "
            "makes it smaller (golang/go#69590)"
        )
    more = goroutines_by_descriptors(comparison)
    if not goroutines.groups and more:
        told.append(
            f"about {more} goroutines more at one time, by their descriptors in the heap: a goroutine "
            "profile (--goroutines) tells what they wait for"
        )
    if goroutines.groups and not goroutines.has_baseline:
        told.append("no goroutine baseline: only very large groups are taken for leaks")
    return told


def _is_blind(comparison: Comparison) -> bool:
    """MemProfileRate 0: what the runtime allocated before it was set is all that is seen."""
    seen = float(comparison.alloc_bytes.sum() + comparison.alloc_before_bytes.sum())
    return comparison.period <= 0 and seen < _LEAST_GROWTH_BYTES


def _shows_too_little(comparison: Comparison, account: MemoryAccount) -> bool:
    """HeapAlloc also holds garbage, at GOGC=100 as much again; what is missing beyond was not sampled."""
    if account.stats is None or account.stats.heap_alloc is None:
        return False
    missing = account.stats.heap_alloc * _LEAST_SHOWN_RATIO - float(comparison.inuse_bytes.sum())
    return missing > _LEAST_MISSING_BYTES


def _cache_notes(heap: GrownHeap) -> tuple[str, ...]:
    """Why no cause is named for a function that grew: it may be a cache on the way to its bound."""
    top = next((each for each in heap.retainers if each.origin > Origin.RUNTIME), None)
    if top is None or not heap.comparison.same_process:
        return ()
    if top.kept_ratio < LEAST_KEPT_RATIO:
        seen = f"{1 - top.kept_ratio:.0%} of what it allocated was freed again"
    elif is_filling(heap, top):
        seen = "it fills a bounded cache, or keeps less and less of what is served"
    elif is_made_once(heap, rows_of(heap, top)):
        return (f"{top.function}: made under a sync.Once, at its first use, so no collection is blamed",)
    else:
        return ()
    note = f"{top.function}: {seen}; this may be a cache filling up to its bound, so no collection is blamed"
    return (f"{note}: compare with a later profile",)
