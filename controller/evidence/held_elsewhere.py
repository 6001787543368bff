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
from dataclasses import dataclass

import numpy as np

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.origin import Origin, module_of

_GET = "sync.(*Pool).Get"
_AS_MANY = 4
"""Times more or fewer: both numbers are estimates from a sample."""


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    owner: int
    """The frame that answers by the stack."""
    below: frozenset[int]
    """The frames that it called."""
    module: str
    """The library that asked a pool for the block; empty where none did."""


def takers_of_pooled(comparison: Comparison, owner_positions: Indices) -> dict[int, str]:
    """Of each row that is held elsewhere than its stack says, the function that holds it."""
    if not any(frame.function == _GET for frame in comparison.frames):
        return {}
    rows = list(_grown_rows(comparison, owner_positions))
    pooled: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        if row.module:
            pooled[comparison.frames[row.owner].function, row.module].append(row)
    others = [row for row in rows if not row.module and comparison.origins[row.owner] >= Origin.ENTRY]
    taken = {}
    for (maker, module), blocks in pooled.items():
        taker = _taker(comparison, others, module, blocks)
        if taker not in ("", maker):
            taken.update(dict.fromkeys((row.number for row in blocks), taker))
    return taken


def _grown_rows(comparison: Comparison, owner_positions: Indices) -> Iterator[_Row]:
    for number in np.flatnonzero(comparison.inuse_delta_bytes > 0).tolist():
        stack = int(comparison.stack_of[number])
        frames, position = comparison.stacks[stack].tolist(), int(owner_positions[stack])
        below = frames[:position]
        yield _Row(number, frames[position], frozenset(below), _asked_by(comparison, below))


def _asked_by(comparison: Comparison, below: list[int]) -> str:
    """The library whose frame stands above `sync.(*Pool).Get`; empty where there is none."""
    functions = [comparison.frames[each].function for each in below]
    if _GET not in functions:
        return ""
    above = below[functions.index(_GET) + 1 :]
    if not above or comparison.origins[above[0]] is not Origin.LIBRARY:
        return ""
    return module_of(comparison.frames[above[0]].function)


def _taker(comparison: Comparison, others: list[_Row], module: str, blocks: list[_Row]) -> str:
    """Whoever keeps most of the library's things, of those that keep as many as there are blocks."""
    members = {
        number
        for number, frame in enumerate(comparison.frames)
        if comparison.origins[number] is Origin.LIBRARY and module_of(frame.function) == module
    }
    wanted = _most_objects(comparison, blocks)
    kept: dict[str, list[_Row]] = defaultdict(list)
    for row in others:
        if not members.isdisjoint(row.below):
            kept[comparison.frames[row.owner].function].append(row)
    as_many = {
        function: float(comparison.inuse_delta_bytes[[row.number for row in rows]].sum())
        for function, rows in kept.items()
        if wanted / _AS_MANY <= _most_objects(comparison, rows) <= wanted * _AS_MANY
    }
    return max(as_many, key=lambda function: as_many[function], default="")


def _most_objects(comparison: Comparison, rows: list[_Row]) -> float:
    return float(comparison.inuse_delta_objects[[row.number for row in rows]].max())


def made_by_workers(comparison: Comparison, modules: Collection[str]) -> frozenset[int]:
    """The rows that goroutines of these libraries made by themselves."""
    members = {
        number
        for number, frame in enumerate(comparison.frames)
        if comparison.origins[number] is Origin.LIBRARY and module_of(frame.function) in modules
    }
    rows = np.flatnonzero((comparison.inuse_bytes != 0) | (comparison.inuse_delta_bytes != 0)).tolist()
    stacks = ((row, comparison.stacks[int(comparison.stack_of[row])].tolist()) for row in rows)
    return frozenset(
        row
        for row, stack in stacks
        if not members.isdisjoint(stack) and all(comparison.origins[frame] < Origin.ENTRY for frame in stack)
    )
