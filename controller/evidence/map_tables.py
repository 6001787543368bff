"""
The sizes by which the tables of Go's maps are recognised in a heap profile.

A map (Go 1.24 and later) consists of tables of at most 1024 slots (`internal/runtime/maps/table.go`,
maxTableCapacity): 128 groups of 8 control bytes and 8 slots, so a full-size table has
1024 × (1 + key + value) bytes, which the allocator rounds up to a size class
(`internal/runtime/gc/sizeclasses.go`), or above 32 KiB to whole pages.
"""

from typing import Any

import numpy as np

_SLOTS = 1024
_WORD_BYTES = 8
_LARGEST_SLOT_BYTES = 128 + 128  # larger keys and values are stored as pointers
_PAGE_BYTES = 8192
_SIZE_CLASSES = (
    *(9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576),
    *(27264, 28672, 32768),
)


def _rounded(size: int) -> int:
    if size > _SIZE_CLASSES[-1]:
        return -(-size // _PAGE_BYTES) * _PAGE_BYTES
    return next(each for each in _SIZE_CLASSES if each >= size)


MAP_TABLE_BYTES = np.array(
    sorted(
        {_rounded(_SLOTS * (1 + slot)) for slot in range(_WORD_BYTES, _LARGEST_SLOT_BYTES + 1, _WORD_BYTES)}
    ),
    dtype=np.float64,
)
"""One entry per size (sizes,)."""

_ENTRIES_PER_TABLE = 650
"""Of a map that grows: a table splits when 7/8 of its slots are full, and each half begins half as full."""


def entries_per_block(
    block_bytes: "np.ndarray[Any, np.dtype[np.float64]]",
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """How many entries a block (blocks,) stands for: those of a table, or itself as one."""
    return np.where(np.isin(block_bytes, MAP_TABLE_BYTES), float(_ENTRIES_PER_TABLE), 1.0)
