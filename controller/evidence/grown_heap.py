"""What the causes ask of a heap that grew: which rows make a call, whose they are, and whether they stay."""

import re
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from controller.evidence.causes import BOUNDED_CACHES, FREED_NOTHING, Grown
from controller.evidence.comparison import Comparison, Indices, Numbers
from controller.evidence.origin import Origin, package_of
from controller.evidence.plateau import Halves, is_slowing
from controller.evidence.profile import Frame
from controller.evidence.retainer import Retainer, kept_ratio, owner_position

LEAST_KEPT_RATIO = 0.7
"""Of what was allocated at the lines that grew: below it blocks are freed as others come, as in a cache."""
_ONCE = re.compile(r"^sync\.\(\*Once\)\.|^sync\.Once(Func|Values?)\b")
_MOST_ROWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GrownHeap:
    """A heap that grew materially, prepared for questions; None stands for one that did not."""

    comparison: Comparison
    owner_positions: Indices
    retainers: tuple[Retainer, ...]
    halves: Halves | None = None
    """Growth up to a profile in the middle and after it, where there is one."""


def is_filling(heap: GrownHeap, retainer: Retainer) -> bool:
    """Whether what the function holds looks like a cache on the way to its bound."""
    rows = rows_of(heap, retainer)
    comparison = heap.comparison
    bounded = retainer.kept_ratio < FREED_NOTHING and any(
        BOUNDED_CACHES.search(comparison.frames[frame].function)
        for row in rows.tolist()
        for frame in comparison.stacks[int(comparison.stack_of[row])].tolist()
    )
    if heap.halves is not None:
        return bounded or heap.halves.slows(retainer.function)
    return bounded or is_slowing(comparison, rows)


def is_made_once(heap: GrownHeap, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> bool:
    """Whether most of it was made under a sync.Once: a table that is loaded at its first use stays so."""
    comparison = heap.comparison
    once = _frames_named(comparison, _ONCE)
    under = [not once.isdisjoint(comparison.stacks[int(comparison.stack_of[row])].tolist()) for row in rows]
    delta = comparison.inuse_delta_bytes[rows]
    return bool(delta[np.array(under, dtype=np.bool_)].sum() > delta.sum() / 2)


def largest_rows(sizes: Numbers) -> list[int]:
    """Rows (of as many sizes, in bytes) that grew or are in use, the largest first."""
    order = np.argsort(-sizes)[:_MOST_ROWS]
    return [row for row in order.tolist() if sizes[row] > 0]


def rows_through(comparison: Comparison, rows: list[int], signature: Grown) -> list[int]:
    """The rows whose stack makes the call, where those asked for it who have to."""
    calls = _frames_named(comparison, signature.call)
    if not calls:
        return []
    others = _frames_named(comparison, signature.unless) if signature.unless else set()
    least = Origin.ENTRY if signature.called_by_application else Origin.LIBRARY
    least = Origin.ALLOCATION if signature.called_by_anyone else least
    stacks = ((row, comparison.stacks[int(comparison.stack_of[row])].tolist()) for row in rows)
    return [
        row
        for row, stack in stacks
        if not calls.isdisjoint(stack)
        and others.isdisjoint(stack)
        and _caller_origin(stack, calls, comparison.origins) >= least
    ]


def _frames_named(comparison: Comparison, names: re.Pattern[str]) -> set[int]:
    return {number for number, frame in enumerate(comparison.frames) if names.search(frame.function)}


def _caller_origin(stack: list[int], calls: set[int], origins: tuple[Origin, ...]) -> Origin:
    """Whose the frame above the innermost run of calls is."""
    first = next(place for place, frame in enumerate(stack) if frame in calls)
    above = next((frame for frame in stack[first:] if frame not in calls), None)
    return Origin.ALLOCATION if above is None else origins[above]


def rows_beside(heap: GrownHeap, rows: list[int], call: re.Pattern[str]) -> list[int]:
    """Those whose owner is in a package of the application that makes the call, too."""
    comparison = heap.comparison
    calls = _frames_named(comparison, call) if rows else set()
    stacks = (each.tolist() for each in comparison.stacks) if calls else ()
    beside = {frame for stack in stacks if not calls.isdisjoint(stack) for frame in stack}
    callers = {
        package_of(comparison.frames[frame].function)
        for frame in beside
        if comparison.origins[frame] >= Origin.ENTRY
    }
    return [row for row in rows if package_of(owner(heap, row).function) in callers]


def is_kept(heap: GrownHeap, rows: list[int], owner: str, least: float) -> bool:
    """By these rows, or by all of their owner's: a map's tables are freed as it grows, its values not."""
    ratio = kept_ratio(heap.comparison, np.array(rows))
    of_owner = (each.kept_ratio for each in heap.retainers if each.function == owner)
    return max(ratio, *of_owner, 0.0) >= least


def retainer_named(heap: GrownHeap, function: str) -> Retainer | None:
    """What a function holds of the growth; None where that is nothing to speak of."""
    return next((each for each in heap.retainers if each.function == function), None)


def caller_of(comparison: Comparison, row: int, signature: Grown) -> Frame:
    """Who made the call: the owner of the stack above it."""
    stack = comparison.stacks[int(comparison.stack_of[row])].tolist()
    matches = [signature.call.search(comparison.frames[each].function) is not None for each in stack]
    above: list[int] = stack[len(stack) - matches[::-1].index(True) :] or stack
    return comparison.frames[above[owner_position(above, comparison.origins)]]


def call_in(comparison: Comparison, row: int, signature: Grown) -> Frame:
    """The call itself, the innermost one of the row's stack."""
    stack: list[int] = comparison.stacks[int(comparison.stack_of[row])].tolist()
    return next(
        comparison.frames[each] for each in stack if signature.call.search(comparison.frames[each].function)
    )


def owner(heap: GrownHeap, row: int) -> Frame:
    """The frame that answers for a row."""
    stack = int(heap.comparison.stack_of[row])
    return heap.comparison.frames[int(heap.comparison.stacks[stack][heap.owner_positions[stack]])]


def packages_below_dispatch(comparison: Comparison, row: int) -> frozenset[str]:
    """The packages that took part in making the row's blocks, up to what only called a handler."""
    stack = comparison.stacks[int(comparison.stack_of[row])].tolist()
    inner = takewhile(lambda each: comparison.origins[each] is not Origin.DISPATCH, stack)
    return frozenset(package_of(comparison.frames[each].function) for each in inner)


def rows_of(heap: GrownHeap, retainer: Retainer) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The rows (indices) that grew and that this function answers for."""
    grown = largest_rows(heap.comparison.inuse_delta_bytes)
    rows = [row for row in grown if owner(heap, row).function == retainer.function]
    return np.array(rows, dtype=np.int64)


def heaviest_caller(heap: GrownHeap, call: re.Pattern[str], weights: Numbers, least: Origin) -> Frame | None:
    """The frame of at least that origin that makes the call in the heaviest row; None where none does."""
    comparison: Comparison = heap.comparison
    for row in np.argsort(-weights)[:_MOST_ROWS].tolist():
        if weights[row] <= 0:
            return None
        stack: list[int] = comparison.stacks[int(comparison.stack_of[row])].tolist()
        position = int(heap.owner_positions[int(comparison.stack_of[row])])
        owner = stack[position]
        below = stack[:position]
        if comparison.origins[owner] < least:
            continue
        if any(call.search(comparison.frames[each].function) for each in below):
            return comparison.frames[owner]
    return None
