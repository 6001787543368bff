"""
Who holds blocks that the stack of somebody else made.

A block of a sync.Pool carries the stack of whoever found the pool empty, not of whoever took it later and
kept it: a logger's buffer is made where a line is logged, and taken where the next logger is made. Where
another function keeps about as many of that library's things, it is they that hold the blocks.

What a library's own goroutines make has no function of the application on its stack. Where they were left
running, whoever started them holds it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator

import numpy as np

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.origin import Origin, module_of

_GET = "sync.(*Pool).Get"
_MOST_POOLS = 5
"""So many are looked into, the largest: each costs a walk over all stacks."""
_AS_MANY = 4
"""Times more or fewer: both numbers are estimates from a sample."""


def takers_of_pooled(comparison: Comparison, owner_positions: Indices) -> dict[int, str]:
    """Of each row that is held elsewhere than its stack says, the function that holds it."""
    pooled = _pooled(comparison, owner_positions)
    taken: dict[int, str] = {}
    for maker, module in sorted(pooled, key=lambda each: -_bytes(comparison, pooled[each]))[:_MOST_POOLS]:
        blocks = pooled[maker, module]
        taker = _taker(comparison, owner_positions, module, blocks)
        if taker not in ("", maker):
            taken.update(dict.fromkeys(blocks, taker))
    return taken


def _pooled(comparison: Comparison, owner_positions: Indices) -> dict[tuple[str, str], list[int]]:
    """Rows that grew and that a library asked a pool for, by the function that answers and the library."""
    gets = {number for number, frame in enumerate(comparison.frames) if frame.function == _GET}
    pooled: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, owner, below in _grown(comparison, owner_positions) if gets else ():
        module = _asked_by(comparison, below, gets)
        if module:
            pooled[comparison.frames[owner].function, module].append(row)
    return pooled


def _grown(comparison: Comparison, owner_positions: Indices) -> Iterator[tuple[int, int, list[int]]]:
    """Of each row that grew its number, the frame that answers for it, and those below."""
    for row in np.flatnonzero(comparison.inuse_delta_bytes > 0).tolist():
        stack = int(comparison.stack_of[row])
        frames, position = comparison.stacks[stack].tolist(), int(owner_positions[stack])
        yield row, frames[position], frames[:position]


def _asked_by(comparison: Comparison, below: list[int], gets: set[int]) -> str:
    """The library whose frame stands above `sync.(*Pool).Get`; empty where there is none."""
    place = next((place for place, frame in enumerate(below) if frame in gets), None)
    above = below[place + 1 : place + 2] if place is not None else []
    if not above or comparison.origins[above[0]] is not Origin.LIBRARY:
        return ""
    return module_of(comparison.frames[above[0]].function)


def _taker(comparison: Comparison, owner_positions: Indices, module: str, blocks: list[int]) -> str:
    """Whoever keeps most of the library's things, of those that keep as many as there are blocks."""
    members, made = _frames_of(comparison, {module}), frozenset(blocks)
    wanted = _most_objects(comparison, blocks)
    kept: dict[str, list[int]] = defaultdict(list)
    for row, owner, below in _grown(comparison, owner_positions):
        if row in made or comparison.origins[owner] < Origin.ENTRY or members.isdisjoint(below):
            continue
        kept[comparison.frames[owner].function].append(row)
    as_many = {
        function: _bytes(comparison, rows)
        for function, rows in kept.items()
        if wanted / _AS_MANY <= _most_objects(comparison, rows) <= wanted * _AS_MANY
    }
    return max(as_many, key=lambda function: as_many[function], default="")


def _most_objects(comparison: Comparison, rows: list[int]) -> float:
    return float(comparison.inuse_delta_objects[rows].max())


def _bytes(comparison: Comparison, rows: list[int]) -> float:
    return float(comparison.inuse_delta_bytes[rows].sum())


def _frames_of(comparison: Comparison, modules: Collection[str]) -> set[int]:
    return {
        number
        for number, frame in enumerate(comparison.frames)
        if comparison.origins[number] is Origin.LIBRARY and module_of(frame.function) in modules
    }


def made_by_workers(comparison: Comparison, modules: Collection[str]) -> frozenset[int]:
    """The rows that goroutines of these libraries made by themselves."""
    members = _frames_of(comparison, modules)
    if not members:
        return frozenset()
    rows = np.flatnonzero((comparison.inuse_bytes != 0) | (comparison.inuse_delta_bytes != 0)).tolist()
    stacks = ((row, comparison.stacks[int(comparison.stack_of[row])].tolist()) for row in rows)
    return frozenset(
        row
        for row, stack in stacks
        if not members.isdisjoint(stack) and all(comparison.origins[frame] < Origin.ENTRY for frame in stack)
    )
