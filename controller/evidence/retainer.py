"""
Who holds the memory that grew.

A profile tells where blocks were allocated, not who keeps them. The leaf is most often plumbing
(`bytes.growSlice`, `encoding/json.Marshal`): true and useless. The answer people can act on is the nearest
frame of their own code above it; where the growth has none (a connection's own goroutine, say), the nearest
library or standard-library subsystem that holds on to things. Both ends are named.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.held_elsewhere import takers_of_pooled
from controller.evidence.map_tables import MAP_TABLE_BYTES
from controller.evidence.origin import Origin
from controller.evidence.profile import Frame

SMALLEST_SHARE = 0.01
"""Of the growth: below it a function is noise on the page."""
MOST_RETAINERS = 12
"""So many are listed; all of them explain."""
_IN_FLIGHT_RATIO = 0.1
_TABLES_PER_TABLE = 1.8
"""Tables that a growing map allocates for each that it ends up with: a split frees one and makes two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retainer:
    """A function whose allocations grew and are still in use."""

    function: str
    file: str
    line: int
    inuse_bytes: float
    delta_bytes: float
    share: float
    """Of the growth (of the bytes in use, without a baseline)."""
    stack: tuple[Frame, ...]
    """The heaviest stack, the allocating function first."""
    allocator: str
    """Where the largest part was allocated: the leaf."""
    via: str
    """What the function called to get there; its own name where it allocated itself."""
    origin: Origin
    alloc_bytes: float
    """Allocated there since the baseline, freed or not."""
    kept_ratio: float
    """Of the bytes allocated there since the baseline, how much was never freed (by stack and block size)."""


def owner_position(stack: Iterable[int], origins: tuple[Origin, ...]) -> int:
    """
    The place in the stack of the function that answers for its allocations.

    The nearest application frame; not one beyond a router or a middleware chain, and not `main.main` across
    a library, because these are above everything. Otherwise the nearest library frame, then the nearest
    subsystem of the standard library, then the leaf.
    """
    best, best_origin = 0, Origin.ALLOCATION
    for position, frame in enumerate(stack):
        origin = origins[frame]
        if origin is Origin.APPLICATION:
            return position
        if origin is Origin.DISPATCH:
            return best if best_origin >= Origin.SUBSYSTEM else position
        if origin is Origin.ENTRY:
            return position if best_origin < Origin.LIBRARY else best
        if origin > best_origin:
            best, best_origin = position, origin
    return best


def owners(comparison: Comparison) -> Indices:
    """The position of the owner in each stack (stacks,)."""
    positions = [owner_position(each.tolist(), comparison.origins) for each in comparison.stacks]
    return np.array(positions, dtype=np.int32)


def find_retainers(
    comparison: Comparison, owner_positions: Indices, held_elsewhere: Mapping[int, str] | None = None
) -> tuple[Retainer, ...]:
    """
    The functions that hold what grew, largest first; `owner_positions` is (stacks,).

    `held_elsewhere` names another holder than the stack's for some rows; it must answer for others itself.
    """
    growth = _positive_growth(comparison)
    taken = {**takers_of_pooled(comparison, owner_positions), **(held_elsewhere or {})}
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero((comparison.inuse_bytes != 0) | (comparison.inuse_delta_bytes != 0)).tolist():
        stack = int(comparison.stack_of[row])
        owner = comparison.stacks[stack][owner_positions[stack]]
        rows_of[taken.get(row) or comparison.frames[owner].function].append(row)
    found = [
        _retainer(comparison, owner_positions, np.array(rows), function, growth)
        for function, rows in rows_of.items()
        if comparison.inuse_delta_bytes[rows].sum() > max(growth * SMALLEST_SHARE, 0)
    ]
    kept = [each for each in found if not _is_in_flight(each, comparison.period)]
    return ranked(kept)


def ranked(retainers: Iterable[Retainer]) -> tuple[Retainer, ...]:
    """Largest first; the runtime's own (goroutine descriptors, say) follow from somebody else's doing."""
    return tuple(sorted(retainers, key=lambda each: (each.origin <= Origin.RUNTIME, -each.delta_bytes)))


def _is_in_flight(retainer: Retainer, period: int) -> bool:
    """A sampled block or two of a function that frees nearly everything: it was just at work."""
    return retainer.kept_ratio < _IN_FLIGHT_RATIO and retainer.delta_bytes <= 2 * period


def growth_by_owner(comparison: Comparison) -> dict[str, float]:
    """Growth in bytes of every function that owns some."""
    growth: dict[str, float] = defaultdict(float)
    by_stack = comparison.by_stack(comparison.inuse_delta_bytes).tolist()
    for stack, position in enumerate(owners(comparison).tolist()):
        growth[comparison.frames[int(comparison.stacks[stack][position])].function] += by_stack[stack]
    return growth


def _positive_growth(comparison: Comparison) -> float:
    """
    The growth that shares refer to: net of what shrank, but never less than a tenth of what rose.

    The floor keeps shares finite where one function's growth is offset by another's shrinking.
    """
    rose = float(np.maximum(comparison.inuse_delta_bytes, 0).sum())
    return max(comparison.growth_bytes, rose / 10)


def _retainer(
    comparison: Comparison,
    owner_positions: Indices,
    rows: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    function: str,
    growth: float,
) -> Retainer:
    delta = comparison.inuse_delta_bytes[rows]
    heaviest = _heaviest_stack(comparison, owner_positions, rows, function)
    position = int(owner_positions[heaviest])
    stack = tuple(comparison.frames[each] for each in comparison.stacks[heaviest].tolist())
    owner = stack[position]
    total = float(delta.sum())
    return Retainer(
        function=owner.function,
        file=owner.file,
        line=owner.line,
        inuse_bytes=float(comparison.inuse_bytes[rows].sum()),
        delta_bytes=total,
        share=total / growth if growth > 0 else 0.0,
        stack=stack,
        allocator=stack[0].function,
        via=stack[max(position - 1, 0)].function,
        origin=comparison.origins[int(comparison.stacks[heaviest][position])],
        alloc_bytes=float(comparison.alloc_bytes[rows].sum()),
        kept_ratio=kept_ratio(comparison, rows),
    )


def _heaviest_stack(
    comparison: Comparison,
    owner_positions: Indices,
    rows: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    function: str,
) -> int:
    """Of those that lead through the function: what it took from a pool has the stack of another."""
    for row in rows[np.argsort(-comparison.inuse_delta_bytes[rows])].tolist():
        stack = int(comparison.stack_of[row])
        if comparison.frames[int(comparison.stacks[stack][owner_positions[stack]])].function == function:
            return stack
    raise AssertionError(f"no row of {function} is its own")


def kept_ratio(comparison: Comparison, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> float:
    """
    Of the bytes allocated by these rows, how much is still in use; each row weighs what it added.

    Exact within the sample: a block counts as allocated and as in use, or was freed. A leak keeps nearly
    everything of the block size it keeps at all; a cache at its bound frees one for each it takes in. (A map
    that only grows also frees: it splits each full table into two new ones.)
    """
    kept = comparison.inuse_delta_bytes if comparison.same_process else comparison.inuse_bytes
    added = np.maximum(kept[rows], 0)
    is_table = np.isin(comparison.block_bytes[rows], MAP_TABLE_BYTES)
    allocated = np.maximum(comparison.alloc_bytes[rows] / np.where(is_table, _TABLES_PER_TABLE, 1.0), 1)
    if not added.any():
        return 0.0
    return float(np.average(np.minimum(added / allocated, 1.0), weights=added))
