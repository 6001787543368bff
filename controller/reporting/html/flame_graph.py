"""The tree of growth as boxes: where each begins, how wide and how deep it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.evidence.flame import FlameNode
from controller.evidence.origin import Origin

ROW_HEIGHT = 19
MOST_BOXES = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class FlameBox:
    """One function under its callers; `left` and `width` in percent of the page."""

    function: str
    left: float
    width: float
    depth: int
    size_bytes: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlameGraph:
    """Callers above, what they called below them."""

    boxes: tuple[FlameBox, ...]
    height: int


def draw_flame(root: FlameNode) -> FlameGraph | None:
    """The boxes in reading order; None where nothing grew."""
    if root.bytes <= 0:
        return None
    boxes = tuple(box for _, box in zip(range(MOST_BOXES), _boxes(root, 0.0, 0, root.bytes), strict=False))
    return FlameGraph(boxes=boxes, height=(max(box.depth for box in boxes) + 1) * ROW_HEIGHT)


def _boxes(node: FlameNode, left: float, depth: int, whole: float) -> Iterator[FlameBox]:
    yield FlameBox(
        function=node.function,
        left=round(left, 3),
        width=round(node.bytes / whole * 100, 3),
        depth=depth,
        size_bytes=node.bytes,
        origin=_kind(node),
    )
    for child in node.children:
        yield from _boxes(child, left, depth + 1, whole)
        left += child.bytes / whole * 100


def _kind(node: FlameNode) -> str:
    if node.origin in (Origin.APPLICATION, Origin.ENTRY):
        return "application"
    # Routers only dispatch, as net/http does, but those with a host in their path are not Go's own.
    host, slash, _ = node.function.partition("/")
    of_others = node.origin is Origin.LIBRARY or (node.origin is Origin.DISPATCH and slash and "." in host)
    return "library" if of_others else "go"
