"""
What allocates most and keeps nothing: the functions that `alloc_space` accuses.

`alloc_space` adds up everything ever allocated, freed or not. A JSON encoder tops it while it retains
nothing: cumulative churn, not retention. Each stack speaks for three functions people would name: where the
block was allocated, what their code called, and their own function.
"""

from collections import defaultdict
from dataclasses import dataclass

from controller.evidence.comparison import Comparison, Indices
from controller.evidence.origin import Origin

NOTE = "cumulative churn, not retention"
MOST_FUNCTIONS = 12
_SMALLEST_SHARE = 0.05
_CLEARED_BELOW = 0.05
"""Of the growth: a function under which less than that stayed is not the leak."""
_FREED_ALL_BUT = 0.002
_MOST_KEPT = 0.25
_NOISE_SAMPLES = 4
"""A heap profile sees one block in so many bytes (its period): a few of them are no trend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """A function under which much was allocated and nearly all of it freed."""

    function: str
    alloc_bytes: float
    share: float
    """Of all bytes allocated."""
    retained_bytes: float
    """What stayed of it."""
    note: str = NOTE


def find_churn(comparison: Comparison, owner_positions: Indices) -> tuple[Churn, ...]:
    """The largest allocators that are not what grew; `owner_positions` is (stacks,)."""
    allocated: dict[str, float] = defaultdict(float)
    retained: dict[str, float] = defaultdict(float)
    kept = comparison.inuse_delta_bytes if comparison.has_baseline else comparison.inuse_bytes
    alloc_of_stack = comparison.by_stack(comparison.alloc_bytes).tolist()
    kept_of_stack = comparison.by_stack(kept).tolist()
    for stack, functions in enumerate(_accused(comparison, owner_positions)):
        for function in functions:
            allocated[function] += alloc_of_stack[stack]
            retained[function] += kept_of_stack[stack]
    total = sum(alloc_of_stack)
    held = sum(max(each, 0.0) for each in kept_of_stack)
    noise = _NOISE_SAMPLES * comparison.period
    found = [
        Churn(function=function, alloc_bytes=size, share=size / total, retained_bytes=retained[function])
        for function, size in allocated.items()
        if size >= max(total * _SMALLEST_SHARE, noise, 1)
        and retained[function] <= max(held * _CLEARED_BELOW, size * _FREED_ALL_BUT)
        and retained[function] <= size * _MOST_KEPT
    ]
    return tuple(sorted(found, key=lambda each: -each.alloc_bytes)[:MOST_FUNCTIONS])


def cleared_suspects(churn: tuple[Churn, ...], guilty: frozenset[str]) -> tuple[str, ...]:
    """Functions that `alloc_space` accuses and `inuse_space` clears; never one that is named as a cause."""
    return tuple(each.function for each in churn if each.function not in guilty)


def _accused(comparison: Comparison, owner_positions: Indices) -> list[set[str]]:
    accused = []
    for stack, position in zip(comparison.stacks, owner_positions.tolist(), strict=True):
        frames = {int(stack[place]) for place in (0, max(position - 1, 0), position)} if len(stack) else set()
        accused.append(
            {
                comparison.frames[each].function
                for each in frames
                if comparison.origins[each] > Origin.RUNTIME and comparison.origins[each] != Origin.DISPATCH
            }
        )
    return accused
