"""
Which kind of collection holds what grew, as far as the sizes of its blocks betray it.

A profile has no types, but the runtime's collections grow in their own way:
- a slice is one block that is replaced by a larger one (`runtime.growslice`), so of many sizes at one line
  only the last is in use, once;
- a map consists of tables of known sizes (`map_tables.py`), each with between about 450 and 900 entries.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.map_tables import MAP_TABLE_BYTES
from controller.evidence.origin import Origin, package_of
from controller.evidence.sampling import sampling_probability

_FEWEST_ENTRIES_PER_TABLE = 200
_MOST_ENTRIES_PER_TABLE = 2000
_FEWEST_TABLES = 2
_KEPT_BY_SPLITTING = 0.8
"""Of the tables a map allocated, fewer than this stay: a full one is freed when it is split in two."""
_SMALLEST_SLICE_BYTES = 32 << 10
_ONE_BLOCK = 1.5
"""Of an estimate."""
_WORD_BYTES = 8


class Shape(StrEnum):
    """What holds the blocks."""

    MAP = "map"
    SLICE = "slice"
    LARGE_BLOCKS = "large blocks"
    GROWN_BUFFERS = "grown buffers"
    """Large blocks that came to their size by writing: a bytes.Buffer, which is made to be used again."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapShape:
    """The kind of collection, and the function and line that let it grow where that is known."""

    shape: Shape
    function: str = ""
    file: str = ""
    line: int = 0


_LARGE_BLOCK_BYTES = 32 << 10
_PARTS_OF_A_WHOLE = frozenset(("compress", "container", "crypto", "hash", "image", "math", "regexp", "sync"))
"""Standard packages whose large blocks belong to something that is kept as a whole."""


def shape_of(
    comparison: Comparison, owner_positions: Indices, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> HeapShape:
    """
    What holds the growth in these rows (indices); looked for in every row with growth, for a collection is
    often filled elsewhere than its elements are made. `owner_positions` is (stacks,).
    """
    delta = comparison.inuse_delta_bytes
    heaviest = int(rows[int(delta[rows].argmax())])
    elements = max(float(comparison.inuse_delta_objects[heaviest]), 1.0)
    growing = np.flatnonzero((delta > 0) & _may_hold_others(comparison))
    own = _owner_origin(comparison, owner_positions, heaviest) is Origin.APPLICATION
    for row in growing[np.argsort(-delta[growing])].tolist():
        # What the application keeps is kept where the application is on the stack, in a library or not.
        if own and _owner_origin(comparison, owner_positions, row) is not Origin.APPLICATION:
            continue
        if _is_growing_slice(comparison, row, elements):
            return _held_in(comparison, owner_positions, row, Shape.SLICE)
        if _is_map_table(comparison, row, elements):
            return _held_in(comparison, owner_positions, row, Shape.MAP)
    large = comparison.block_bytes[heaviest] >= _LARGE_BLOCK_BYTES and elements > 1
    if large and _can_be_cut(comparison, heaviest):
        shape = Shape.GROWN_BUFFERS if _grew_by_writing(comparison, heaviest) else Shape.LARGE_BLOCKS
        return _held_in(comparison, owner_positions, heaviest, shape)
    return HeapShape(shape=Shape.UNKNOWN)


def _may_hold_others(comparison: Comparison) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether a row's blocks (rows,) have the size of a table, or may be a slice: asked of all at once."""
    slices = comparison.block_bytes >= _SMALLEST_SLICE_BYTES
    slices &= comparison.inuse_delta_objects <= _ONE_BLOCK
    return slices | np.isin(comparison.block_bytes, MAP_TABLE_BYTES)


def _can_be_cut(comparison: Comparison, row: int) -> bool:
    """Whether it may be bytes or text that somebody keeps a part of; the state of a compressor is not."""
    leaf = int(comparison.stacks[int(comparison.stack_of[row])][0])
    if comparison.origins[leaf] is not Origin.PLUMBING:
        return True
    return package_of(comparison.frames[leaf].function).partition("/")[0] not in _PARTS_OF_A_WHOLE


def _grew_by_writing(comparison: Comparison, row: int) -> bool:
    stack = comparison.stacks[int(comparison.stack_of[row])].tolist()
    return any(comparison.frames[frame].function.startswith("bytes.(*Buffer).") for frame in stack)


def _is_growing_slice(comparison: Comparison, row: int, elements: float) -> bool:
    """One block in use, smaller ones allocated before it at the same line, and room for all elements."""
    size = comparison.block_bytes[row]
    if size < max(_SMALLEST_SLICE_BYTES, min(elements, 1e12) * _WORD_BYTES * (elements > 1)):
        return False
    if comparison.inuse_delta_objects[row] > _ONE_BLOCK:
        return False
    same_place = np.flatnonzero(comparison.stack_of == comparison.stack_of[row])
    freed = (comparison.inuse_bytes[same_place] <= 0) & (comparison.block_bytes[same_place] < size)
    return bool(freed.any())


def _is_map_table(comparison: Comparison, row: int, elements: float) -> bool:
    """Several blocks of the size of a map's table, about as many as the elements need."""
    tables = comparison.inuse_delta_objects[row]
    seen = tables * sampling_probability(comparison.block_bytes[[row]], comparison.period)[0]
    if round(seen) < _FEWEST_TABLES or not np.isin(comparison.block_bytes[row], MAP_TABLE_BYTES):
        return False
    split = comparison.inuse_delta_bytes[row] < _KEPT_BY_SPLITTING * comparison.alloc_bytes[row]
    if tables >= elements and split:  # a map of plain values: its tables are all there is
        return True
    held = float(tables)
    return held * _FEWEST_ENTRIES_PER_TABLE <= elements <= held * _MOST_ENTRIES_PER_TABLE


def _owner_origin(comparison: Comparison, owner_positions: Indices, row: int) -> Origin:
    stack = int(comparison.stack_of[row])
    return comparison.origins[int(comparison.stacks[stack][owner_positions[stack]])]


def _held_in(comparison: Comparison, owner_positions: Indices, row: int, shape: Shape) -> HeapShape:
    stack = int(comparison.stack_of[row])
    frame = comparison.frames[int(comparison.stacks[stack][owner_positions[stack]])]
    return HeapShape(shape=shape, function=frame.function, file=frame.file, line=frame.line)
