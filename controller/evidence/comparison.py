"""
Two heap profiles of one program laid over each other, stack by stack.

Frames of both are numbered together, so that one array answers every question about growth. The rows are
(stack, block size) as in the profile, because only there is it exact which blocks stayed: what was
allocated and what is still in use come from the same sampled objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from controller.evidence.origin import Origin, observes, origin_of
from controller.evidence.profile import Frame, Profile

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int32]]

NOWHERE = Frame("<no stack>", "", 0)
"""Stands for the stack of a sample that has none, so that its bytes count."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """
    Rows are (stack, block size); every array has shape (rows,) but for `frames` and `origins` (frames,).

    `stacks[stack_of[row]]` are indices into `frames`, the allocating function first.
    """

    frames: tuple[Frame, ...]
    origins: tuple[Origin, ...]
    stacks: tuple[Indices, ...]
    stack_of: "np.ndarray[Any, np.dtype[np.int64]]"
    block_bytes: Numbers
    inuse_bytes: Numbers
    inuse_delta_bytes: Numbers
    inuse_delta_objects: Numbers
    alloc_bytes: Numbers
    """Since the baseline; since the program's start where there is none, or it was another process's."""
    alloc_before_bytes: Numbers
    """From the program's start to the baseline; zero where there is none."""
    period: int
    has_baseline: bool
    same_process: bool
    """Whether what was allocated only rose since the baseline, as it must within one process."""

    @property
    def growth_bytes(self) -> float:
        """Net growth of the bytes in use; all of them where there is no baseline."""
        return float(self.inuse_delta_bytes.sum())

    def by_stack(self, rows: Numbers) -> Numbers:
        """A number per row (rows,) summed per stack (stacks,)."""
        sums = np.bincount(self.stack_of, weights=rows, minlength=len(self.stacks))
        return np.asarray(sums, dtype=np.float64)


def compare(now: Profile, baseline: Profile | None = None) -> Comparison:
    """Lays a heap profile over its baseline. Raises ProfileRejected where either is not a heap profile."""
    numbering: dict[Frame, int] = {}
    rows = _Rows()
    for index, profile in enumerate((baseline, now)):
        if profile is not None:
            rows.add(profile, _stack_keys(profile, numbering), index)
    table = rows.table()
    before, after = table[:, 0, :], table[:, 1, :]
    same_process = baseline is not None and bool((after[:, 0] >= before[:, 0] * (1 - 1e-9)).all())
    alloc = after - before if same_process else after
    delta = after - before
    frames = tuple(numbering)
    block_bytes = rows.block_bytes()
    return Comparison(
        frames=frames,
        origins=tuple(origin_of(frame) for frame in frames),
        stacks=rows.stacks(),
        stack_of=rows.stack_of(),
        block_bytes=block_bytes,
        inuse_bytes=after[:, 3],
        inuse_delta_bytes=delta[:, 3],
        inuse_delta_objects=delta[:, 3] / np.maximum(block_bytes, 1),
        alloc_bytes=alloc[:, 1],
        alloc_before_bytes=before[:, 1],
        period=now.period,
        has_baseline=baseline is not None,
        same_process=same_process,
    )


def _stack_keys(profile: Profile, numbering: dict[Frame, int]) -> list[bytes]:
    """The stack of each sample (samples,) in the joint numbering, as the bytes of an int32 array."""
    joint = np.array(
        [numbering.setdefault(frame, len(numbering)) for frame in profile.frames], dtype=np.int32
    )
    frames = joint[profile.stack_frames] if len(joint) else profile.stack_frames
    keys = [frames[begin:end].tobytes() for begin, end in pairwise(profile.stack_starts.tolist())]
    if b"" not in keys:
        return keys
    nowhere = np.array([numbering.setdefault(NOWHERE, len(numbering))], dtype=np.int32).tobytes()
    return [key or nowhere for key in keys]


class _Rows:
    """Collects samples of both profiles under their (stack, block size)."""

    def __init__(self) -> None:
        self._stack_numbers: dict[bytes, int] = {}
        self._row_numbers: dict[tuple[int, float], int] = {}
        self._parts: list[tuple[int, Sequence[int], Numbers]] = []

    def add(self, profile: Profile, stack_keys: Sequence[bytes], index: int) -> None:
        columns = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
        values = np.stack([profile.column(name) for name in columns], axis=1)
        values[_taken_by_observer(profile)] = 0
        sizes: list[float] = _block_sizes(profile, values).tolist()
        places = []
        for key, size in zip(stack_keys, sizes, strict=True):
            row = (self._stack_numbers.setdefault(key, len(self._stack_numbers)), size)
            places.append(self._row_numbers.setdefault(row, len(self._row_numbers)))
        self._parts.append((index, places, values))

    def table(self) -> Numbers:
        """(rows, 2 profiles, 4 columns)."""
        table = np.zeros((len(self._row_numbers), 2, 4))
        for index, places, values in self._parts:
            np.add.at(table[:, index, :], np.asarray(places, dtype=np.int64), values)
        return table

    def stacks(self) -> tuple[Indices, ...]:
        return tuple(np.frombuffer(key, dtype=np.int32) for key in self._stack_numbers)

    def stack_of(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        return np.fromiter((stack for stack, _ in self._row_numbers), np.int64, len(self._row_numbers))

    def block_bytes(self) -> Numbers:
        return np.fromiter((size for _, size in self._row_numbers), np.float64, len(self._row_numbers))


def _taken_by_observer(profile: Profile) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Whether each sample (samples,) was allocated by the taking of the profile."""
    flags = np.array([observes(frame) for frame in profile.frames], dtype=np.int64)
    if not flags.any():
        return np.zeros(profile.samples, dtype=np.bool_)
    seen = np.concatenate(([0], np.cumsum(flags[profile.stack_frames])))
    return np.asarray(np.diff(seen[profile.stack_starts]) > 0)


def _block_sizes(profile: Profile, values: Numbers) -> Numbers:
    """
    Bytes of one block (samples,): the sample's own label, else the quotient of space and objects.

    The runtime keeps one record per stack and size. The quotient alone would not do: objects are scaled
    and then cut to a whole number, which for a few large blocks is far off.
    """
    quotient = np.rint(values[:, 1] / np.maximum(values[:, 0], 1))
    return np.where(profile.block_bytes > 0, profile.block_bytes, quotient)
