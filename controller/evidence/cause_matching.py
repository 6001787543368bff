"""
The causes of the catalogue that fit what grew.

Goroutines are asked first, then calls that are leaks by themselves, and only then the kind of collection:
memory that a blocked goroutine holds is not also an unbounded map. No growth, no cause.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from controller.evidence.causes import CATALOGUE, NATIVE, PER_CALL, Blocked, Cause, Grown
from controller.evidence.comparison import Numbers
from controller.evidence.goroutines import GoroutineGroup, WaitState, has_leaked
from controller.evidence.grown_heap import (
    LEAST_KEPT_RATIO,
    GrownHeap,
    call_in,
    caller_of,
    heaviest_caller,
    is_filling,
    is_kept,
    is_made_once,
    largest_rows,
    owner,
    packages_below_dispatch,
    retainer_named,
    rows_beside,
    rows_of,
    rows_through,
)
from controller.evidence.growth_class import MemoryAccount
from controller.evidence.heap_shape import HeapShape, shape_of
from controller.evidence.held_elsewhere import made_by_workers
from controller.evidence.map_tables import entries_per_block
from controller.evidence.origin import Origin, module_of, origin_of, package_of
from controller.evidence.profile import Frame
from controller.evidence.retainer import Retainer, kept_ratio
from controller.evidence.sampling import growth_error

_LEAST_SHARE_OF_A_SHAPE = 0.25
_OBJECTS_PER_GOROUTINE = 2
_SAME_NUMBER = 0.1
_VALUES_PER_ENTRY = 8
"""A cache's entries and their values are as many, in a sample at least nearly."""
_BLOCKS_THAT_CONVINCE = 10
_WITHOUT_BASELINE_SHARE = 0.3
_WITHOUT_BASELINE_BYTES = 8 << 20
_WITHOUT_BASELINE_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCause:
    """A cause, how likely it is, and the function where to look."""

    cause: Cause
    confidence: float
    function: str
    file: str
    line: int
    evidence: str
    """The numbers that speak for it."""
    by_goroutines: bool = False
    """Whether goroutines gave it away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownGoroutines:
    """Goroutine groups; `leaked` are those the collector itself proved blocked for ever."""

    groups: tuple[GoroutineGroup, ...] = ()
    leaked: tuple[GoroutineGroup, ...] = ()
    has_baseline: bool = False


def name_causes(
    heap: GrownHeap | None, goroutines: GrownGoroutines, *, any_heap: GrownHeap | None
) -> tuple[NamedCause, ...]:
    """
    The causes that fit, likeliest first.

    `heap` only where it grew; `any_heap` as well where it did not, to find who calls what.
    """
    matcher = _Matcher(heap, goroutines, any_heap)
    found = [*matcher.specific(), *matcher.blocked_in_application()]
    found.extend(matcher.shapes(found))
    return tuple(sorted(found, key=lambda each: -each.confidence))


class _Matcher:
    def __init__(
        self, heap: GrownHeap | None, goroutines: GrownGoroutines, any_heap: GrownHeap | None
    ) -> None:
        self._heap = heap
        self._any_heap = any_heap
        self._goroutines = goroutines
        self._explained: set[tuple[WaitState, str]] = set()
        self._explained_rows: set[int] = set()
        self._explained_modules = set(leaked_libraries(goroutines))
        self._cached_entries = 0.0

    def specific(self) -> Iterator[NamedCause]:
        """Causes with a signature of their own."""
        for cause in CATALOGUE:
            by_goroutines = self._by_goroutines(cause)
            by_heap = self._by_heap(cause)
            best = by_goroutines or by_heap
            if best is None:
                continue
            yield best

    def _by_goroutines(self, cause: Cause) -> NamedCause | None:
        for signature in cause.blocked:
            groups = [
                each
                for each in self._goroutines.groups
                if _waits_in(each, signature) and (each.state, each.function) not in self._explained
            ]
            delta = sum(each.delta for each in groups) - self._healthy_counterpart(signature)
            known = any(_waits_in(each, signature) for each in self._goroutines.leaked)
            if not groups or (delta < signature.at_least and not known):
                continue
            twins = self._twins(groups)
            companions = self._companions(groups)
            explained = [*self._with_same_root(groups), *twins, *companions]
            self._explained.update((each.state, each.function) for each in explained)
            self._explained_modules.update(
                module_of(each.function) for each in groups if each.origin is Origin.LIBRARY
            )
            place = self._caller(signature.called_through) or self._caller_of_any(companions)
            place = place or _place(next(iter(twins), groups[0]))
            confidence = 0.97 if known else 0.92 if self._goroutines.has_baseline else 0.7
            evidence = f"{delta} goroutines more in {groups[0].function}"
            return _named(cause, confidence, place, evidence, by_goroutines=True)
        return None

    def _with_same_root(self, groups: list[GoroutineGroup]) -> list[GoroutineGroup]:
        """Groups that come and go with these: a connection's reader has a writer beside it."""
        types = {each.function.rpartition(".")[0] for each in groups}
        modules = {module_of(each.function) for each in groups if each.origin is Origin.LIBRARY}
        return [
            each
            for each in self._goroutines.groups
            if each in groups
            or each.function.rpartition(".")[0] in types
            or (each.origin is Origin.LIBRARY and module_of(each.function) in modules)
        ]

    def _twins(self, groups: list[GoroutineGroup]) -> list[GoroutineGroup]:
        """Goroutines of the application that are as many more: it starts one for each of the library's."""
        if groups[0].origin is Origin.APPLICATION:
            return []
        return [
            each
            for each in self._goroutines.groups
            if each.origin is Origin.APPLICATION and _as_many_more(each, groups)
        ]

    def _companions(self, groups: list[GoroutineGroup]) -> list[GoroutineGroup]:
        """
        As many more of Go's own packages or of a library: a server's ends of a program's connections to
        itself, or the workers of a library that has started these.
        """
        return [
            each
            for each in self._goroutines.groups
            if Origin.SUBSYSTEM <= each.origin <= Origin.LIBRARY
            and each not in groups
            and _as_many_more(each, groups)
        ]

    def _caller_of_any(self, groups: list[GoroutineGroup]) -> Frame | None:
        """The application's function that calls one of the libraries that these belong to."""
        libraries = (each for each in groups if each.origin is Origin.LIBRARY)
        callers = (self._caller(_calls_of_module(each)) for each in libraries)
        return next((each for each in callers if each is not None), None)

    def _healthy_counterpart(self, signature: Blocked) -> int:
        if signature.unless is None:
            return 0
        wanted = signature.unless
        return sum(
            each.delta
            for each in self._goroutines.groups
            if each.delta > 0 and any(wanted.search(frame.function) for frame in each.stack)
        )

    def _by_heap(self, cause: Cause) -> NamedCause | None:
        if self._heap is None or not (self._heap.comparison.has_baseline or cause.without_baseline):
            return None
        for signature in cause.grown:
            if signature.without_goroutines and self._goroutines.groups:
                continue
            named = self._by_call(self._heap, cause, signature)
            if named is not None:
                return named
        return None

    def _by_call(self, heap: GrownHeap, cause: Cause, signature: Grown) -> NamedCause | None:
        """The cause, where enough of the growth was allocated under the calls of its signature, and stays."""
        comparison = heap.comparison
        hits, sizes = _hits(heap, signature)
        if not hits:
            return None
        heaviest = max(hits, key=lambda row: float(sizes[row]))
        place = caller_of(comparison, heaviest, signature)
        if self._is_explained(place) or self._is_explained(call_in(comparison, heaviest, signature)):
            return None
        growth = float(np.maximum(comparison.inuse_delta_bytes, 0).sum())
        held = float(sizes[hits].sum())
        one_for_each = signature.one_for_each and self._is_one_for_each(heap, hits, place)
        if held < self._least_bytes(signature, place, growth, one_for_each=one_for_each):
            return None
        if not is_kept(heap, hits, owner(heap, heaviest).function, signature.at_least_kept):
            return None
        if origin_of(place) < Origin.LIBRARY:
            place = self._caller(signature.called_through) or _keeper(heap) or place
        caller = retainer_named(heap, place.function)
        if signature.keeps_what_it_is_given:
            if caller is not None and is_filling(heap, caller):
                return None
            if sizes is comparison.inuse_bytes and not _holds_much(caller):
                return None
            blocks = comparison.block_bytes[hits]
            entries = sizes[hits] / np.maximum(blocks, 1) * entries_per_block(blocks)
            self._cached_entries = max(self._cached_entries, float(entries.max()))
        share = held / growth
        if caller is not None and (signature.keeps_what_it_is_given or one_for_each):
            share = max(share, caller.share)
        self._explained_rows.update(hits)
        self._explain_goroutines_of(place.function)
        named = _by_share(cause, place, share, heap, hits)
        return (
            replace(named, confidence=min(named.confidence, 0.5)) if signature.without_goroutines else named
        )

    def _least_bytes(self, signature: Grown, place: Frame, growth: float, *, one_for_each: bool) -> float:
        least = 0.0 if one_for_each else growth * self._least_share(signature, place)
        if self._heap is not None and self._heap.comparison.has_baseline:
            return least
        return max(least, growth * _WITHOUT_BASELINE_SHARE, _WITHOUT_BASELINE_BYTES)

    @staticmethod
    def _is_one_for_each(heap: GrownHeap, hits: list[int], place: Frame) -> bool:
        """Whether a function that holds much of the growth keeps about one of these for each block."""
        holder = retainer_named(heap, place.function)
        if holder is None or not _holds_much(holder):
            return False
        objects = heap.comparison.inuse_delta_objects
        rows = rows_of(heap, holder)
        heaviest = int(rows[int(heap.comparison.inuse_delta_bytes[rows].argmax())])
        return _as_many(float(objects[hits].max()), float(objects[heaviest]))

    def _is_explained(self, caller: Frame) -> bool:
        """Whether the call is a library's, whose own goroutines are known to have been left running."""
        return origin_of(caller) is Origin.LIBRARY and module_of(caller.function) in self._explained_modules

    def _least_share(self, signature: Grown, caller: Frame) -> float:
        lower = signature.at_least_share_in_leaked
        if lower is None:
            return signature.at_least_share
        leaked = {
            each.function
            for each in self._goroutines.groups
            if has_leaked(each, has_baseline=self._goroutines.has_baseline)
        }
        return lower if caller.function in leaked else signature.at_least_share

    def _explain_goroutines_of(self, function: str) -> None:
        for group in self._goroutines.groups:
            if group.function == function or group.function.startswith(f"{function}.func"):
                self._explained.add((group.state, group.function))

    def _caller(self, calls: re.Pattern[str] | None) -> Frame | None:
        """Who makes these calls, the application before a library: by growth, else by allocations."""
        heap = self._any_heap
        if heap is None or calls is None:
            return None
        comparison = heap.comparison
        grown = np.maximum(comparison.inuse_delta_bytes, 0)
        for least, weights in product((Origin.ENTRY, Origin.LIBRARY), (grown, comparison.alloc_bytes)):
            place = heaviest_caller(heap, calls, weights, least)
            if place is not None:
                return place
        return None

    def blocked_in_application(self) -> Iterator[NamedCause]:
        """Goroutines of the application or a library that grew and have no more special cause."""
        causes = {wait: cause for cause in CATALOGUE for wait in cause.waits}
        seen: set[str] = set()
        leaked = {(each.state, each.function): each for each in self._goroutines.leaked}
        candidates = [*self._goroutines.leaked, *self._goroutines.groups]
        for group in candidates:
            key = (group.state, group.function)
            cause = PER_CALL if _is_librarys_own(group) else causes.get(group.state)
            if cause is None or cause.id in seen or key in self._explained:
                continue
            if key not in leaked and not has_leaked(group, has_baseline=self._goroutines.has_baseline):
                continue
            seen.add(cause.id)
            self._explained.add(key)
            place = _place(group)
            if cause is PER_CALL:
                self._explained.update((each.state, each.function) for each in self._with_same_root([group]))
                place = self._starter(group) or place
            certain = 0.97 if key in leaked else 0.9 if self._goroutines.has_baseline else 0.55
            evidence = f"{group.delta} goroutines more"
            yield _named(cause, certain, place, evidence, by_goroutines=True)

    def _starter(self, group: GoroutineGroup) -> Frame | None:
        """Which function of the application starts a library's goroutines, by calls or by their number."""
        twins = self._twins([group])
        self._explained.update((each.state, each.function) for each in twins)
        return self._caller(_calls_of_module(group)) or (_place(twins[0]) if twins else None)

    def shapes(self, found: list[NamedCause]) -> Iterator[NamedCause]:
        """The collection that holds memory of the application for which nothing better is known."""
        if self._heap is None or not self._heap.comparison.has_baseline:
            return
        named = {each.function for each in found}
        for retainer in self._heap.retainers:
            if not _holds_much(retainer) or retainer.function in named:
                continue
            if retainer.origin > Origin.DISPATCH and self._stays_unexplained(self._heap, retainer, found):
                yield self._shape(self._heap, retainer)
                return

    def _stays_unexplained(self, heap: GrownHeap, retainer: Retainer, found: list[NamedCause]) -> bool:
        if retainer.kept_ratio < LEAST_KEPT_RATIO or is_filling(heap, retainer):
            return False
        delta, rows = heap.comparison.inuse_delta_bytes, rows_of(heap, retainer)
        if retainer.delta_bytes <= growth_error(heap.comparison, rows).plus_minus_bytes:
            return False  # a block or two that happened to be sampled are no collection
        explained = sum(float(delta[row]) for row in rows.tolist() if row in self._explained_rows)
        if explained > retainer.delta_bytes / 2:
            return False
        heaviest = int(rows[int(delta[rows].argmax())])
        objects = float(heap.comparison.inuse_delta_objects[heaviest])
        if _as_many(objects, self._cached_entries) or is_made_once(heap, rows):
            return False
        return not self._is_held_by_goroutines(heap, retainer, heaviest, found)

    def _is_held_by_goroutines(
        self, heap: GrownHeap, retainer: Retainer, heaviest: int, found: list[NamedCause]
    ) -> bool:
        """
        Whether goroutines that leaked, or are at work in it, explain the function's memory: about a block for
        each of them, or allocated by the leaked ones' own package and in no collection that shows.

        Those of Go's own packages hold nothing of the application's but what was made in calls of them.
        """
        if heaviest in made_by_workers(heap.comparison, self._explained_modules):
            return True
        objects = float(heap.comparison.inuse_delta_objects[heaviest])
        groups = self._goroutines.groups
        leaked = [each for each in groups if self._is_known_to_leak(each)]
        at_work = [each for each in groups if any(one.function == retainer.function for one in each.stack)]
        holders = [each for each in (*leaked, *at_work) if objects <= _OBJECTS_PER_GOROUTINE * each.delta]
        if any(each.origin >= Origin.LIBRARY for each in holders):
            return True
        theirs = {package_of(each.function) for each in leaked}
        theirs |= {package_of(each.function) for each in found if each.by_goroutines}
        if holders and not theirs.isdisjoint(packages_below_dispatch(heap.comparison, heaviest)):
            return True
        shape = shape_of(heap.comparison, heap.owner_positions, rows_of(heap, retainer))
        return package_of(retainer.function) in theirs and not shape.function

    def _is_known_to_leak(self, group: GoroutineGroup) -> bool:
        explained = (group.state, group.function) in self._explained
        return explained or has_leaked(group, has_baseline=self._goroutines.has_baseline)

    @staticmethod
    def _shape(heap: GrownHeap, retainer: Retainer) -> NamedCause:
        shape = shape_of(heap.comparison, heap.owner_positions, rows_of(heap, retainer))
        cause = next(each for each in CATALOGUE if shape.shape in each.shapes)
        place = _shape_place(shape) or Frame(retainer.function, retainer.file, retainer.line)
        evidence = f"{min(retainer.share, 1):.0%} of the growth, and nearly all of it kept"
        return _named(cause, 0.75 if shape.function else 0.5, place, evidence)


def causes_outside_go(account: MemoryAccount, heap: GrownHeap) -> tuple[NamedCause, ...]:
    """
    Memory outside Go, and before it the causes whose Go objects own some: a few of these are enough.

    The native cause names the function whose Go objects grew most beside it, which may be its handles.
    """
    matcher = _Matcher(heap, GrownGoroutines(), heap)
    handles = [named for named in matcher.specific() if named.cause.owns_native]
    native, rss = account.native_bytes or 0, account.rss_bytes or 1
    told = f"{native >> 20} of {rss >> 20} MiB resident memory are not Go's"
    place, beside = Frame("", "", 0), _kept_beside(heap)
    if beside is not None:
        place = Frame(beside.function, beside.file, beside.line)
        told += f"; on Go's side {beside.function} keeps most"
    certain = min([0.5 + native / rss / 2, 0.95, *(each.confidence - 0.05 for each in handles)])
    return (*handles, _named(NATIVE, certain, place, told))


def _hits(heap: GrownHeap, signature: Grown) -> tuple[list[int], Numbers]:
    """
    The rows under the calls of a signature, and of every row the bytes by which it counts: its growth.

    A cache's own tables are few, and by the chance of sampling as many may be seen before as after. Where
    none seems to have grown, those in use count, for what the cache is given grows beside them.
    """
    comparison = heap.comparison
    hits = rows_through(comparison, largest_rows(comparison.inuse_delta_bytes), signature)
    if signature.beside is not None:
        hits = rows_beside(heap, hits, signature.beside)
    if hits or not signature.keeps_what_it_is_given or not comparison.has_baseline:
        return hits, comparison.inuse_delta_bytes
    return rows_through(comparison, largest_rows(comparison.inuse_bytes), signature), comparison.inuse_bytes


def _holds_much(retainer: Retainer | None) -> bool:
    return retainer is not None and retainer.share >= _LEAST_SHARE_OF_A_SHAPE


def _kept_beside(heap: GrownHeap) -> Retainer | None:
    if not heap.comparison.has_baseline:
        return None
    kept = (each for each in heap.retainers if each.kept_ratio >= LEAST_KEPT_RATIO)
    return next((each for each in kept if each.origin >= Origin.LIBRARY), None)


def _by_share(cause: Cause, place: Frame, share: float, heap: GrownHeap, hits: list[int]) -> NamedCause:
    """As sure as the share is large and the sample is; half as sure without a baseline."""
    seen = growth_error(heap.comparison, np.array(hits)).sampled_blocks
    confidence = (0.6 + 0.35 * min(share * 2, 1.0)) * (0.7 + 0.3 * min(seen / _BLOCKS_THAT_CONVINCE, 1.0))
    if heap.comparison.has_baseline:
        return _named(cause, confidence, place, f"{min(share, 1):.0%} of the growth")
    told = f"{min(share, 1):.0%} of the heap in use"
    return _named(cause, confidence * _WITHOUT_BASELINE_CONFIDENCE, place, told)


def _keeper(heap: GrownHeap) -> Frame | None:
    """
    The function of the application that most likely keeps what a request brought along: of those that run
    while one is served, the one that itself keeps most. None where none does.
    """
    comparison = heap.comparison
    for row in largest_rows(comparison.inuse_delta_bytes):
        stack = comparison.stacks[int(comparison.stack_of[row])].tolist()
        place = owner(heap, row)
        if origin_of(place) < Origin.LIBRARY or kept_ratio(comparison, np.array([row])) < LEAST_KEPT_RATIO:
            continue
        if any(comparison.origins[frame] is Origin.DISPATCH for frame in stack):
            return place
    return None


def is_accused(named: NamedCause, function: str) -> bool:
    """Whether the function is the named one, or a call that the cause is known by."""
    calls = (each.call for each in named.cause.grown)
    return function == named.function or any(call.search(function) for call in calls)


def _named(
    cause: Cause, confidence: float, place: Frame, evidence: str, *, by_goroutines: bool = False
) -> NamedCause:
    return NamedCause(
        cause=cause,
        confidence=round(confidence, 2),
        function=place.function,
        file=place.file,
        line=place.line,
        evidence=evidence,
        by_goroutines=by_goroutines,
    )


def _place(group: GoroutineGroup) -> Frame:
    return Frame(group.function, group.file, group.line)


def _shape_place(shape: HeapShape) -> Frame | None:
    return Frame(shape.function, shape.file, shape.line) if shape.function else None


def _as_many(one: float, other: float) -> bool:
    """Both are estimates from a sample."""
    return other / _VALUES_PER_ENTRY <= one <= other * _VALUES_PER_ENTRY


def _as_many_more(group: GoroutineGroup, others: list[GoroutineGroup]) -> bool:
    return any(
        each.delta > 0 and abs(group.delta - each.delta) <= _SAME_NUMBER * each.delta for each in others
    )


def leaked_libraries(goroutines: GrownGoroutines) -> frozenset[str]:
    """The modules whose own goroutines were left running."""
    return frozenset(
        module_of(each.function)
        for each in (*goroutines.leaked, *goroutines.groups)
        if _is_librarys_own(each)
        and (each in goroutines.leaked or has_leaked(each, has_baseline=goroutines.has_baseline))
    )


def _calls_of_module(group: GoroutineGroup) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(module_of(group.function))}[./]")


def _is_librarys_own(group: GoroutineGroup) -> bool:
    """Whether a library started it for itself: no code of the application is on its stack, nor a router."""
    return group.origin is Origin.LIBRARY and all(
        origin_of(frame) is not Origin.DISPATCH for frame in group.stack
    )


def _waits_in(group: GoroutineGroup, signature: Blocked) -> bool:
    if signature.states and group.state not in signature.states:
        return False
    return any(signature.function.search(frame.function) for frame in group.stack)
