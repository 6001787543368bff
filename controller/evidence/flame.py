"""The growth as a tree of calls, pruned to what a page can show."""

from dataclasses import dataclass, field

import numpy as np

from controller.evidence.comparison import Comparison
from controller.evidence.origin import Origin

SMALLEST_SHARE = 0.005
DEEPEST = 60
MOST_STACKS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class FlameNode:
    """A function, the bytes that grew under it, and the functions it called."""

    function: str
    bytes: float
    origin: Origin
    children: tuple["FlameNode", ...] = ()


@dataclass(slots=True)
class _Branch:
    origin: Origin
    bytes: float = 0.0
    children: dict[str, "_Branch"] = field(default_factory=dict)


def flame_of(comparison: Comparison) -> FlameNode:
    """The growing stacks merged from their roots; without a baseline all bytes in use."""
    delta = np.maximum(comparison.by_stack(comparison.inuse_delta_bytes), 0)
    root = _Branch(Origin.RUNTIME)
    for stack in np.argsort(-delta)[:MOST_STACKS].tolist():
        if delta[stack] <= 0:
            break
        _add(root, comparison, stack, float(delta[stack]))
    return _pruned("all that grew", root, root.bytes * SMALLEST_SHARE)


def _add(root: _Branch, comparison: Comparison, stack: int, size: float) -> None:
    root.bytes += size
    branch = root
    for frame in comparison.stacks[stack].tolist()[::-1][:DEEPEST]:
        name = comparison.frames[frame].function
        branch = branch.children.setdefault(name, _Branch(comparison.origins[frame]))
        branch.bytes += size


def _pruned(function: str, branch: _Branch, smallest: float) -> FlameNode:
    children = [
        _pruned(name, child, smallest) for name, child in branch.children.items() if child.bytes >= smallest
    ]
    children.sort(key=lambda each: -each.bytes)
    return FlameNode(function=function, bytes=branch.bytes, origin=branch.origin, children=tuple(children))
