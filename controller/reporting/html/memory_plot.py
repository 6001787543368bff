"""The memory plot as coordinates: the template only writes them out as SVG."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.reporting.html.report import MemoryHistory, MemoryPoint

WIDTH, NARROW_WIDTH, HEIGHT = 720.0, 380.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 14.0, 30.0
_HEADROOM = 1.08
_TICKS = 5
_MINUTE = timedelta(minutes=1)
_TIME_STEPS = tuple(timedelta(seconds=one) for one in (1, 2, 5, 10, 15, 30)) + tuple(
    timedelta(minutes=one) for one in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 40320)
)
_NICE_STEPS = (1, 2, 2.5, 5, 10)
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis: its place in the drawing and its text."""

    place: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlot:
    """A drawing of `width` × 260 units; y grows downwards."""

    width: float
    path: str
    projection: str
    threshold_y: float | None
    limit_y: float | None
    restarts_x: tuple[float, ...]
    crossing: tuple[float, float, float] | None
    """x of the earliest, the likely and the latest crossing."""
    bytes_ticks: tuple[Tick, ...]
    time_ticks: tuple[Tick, ...]
    description: str


def draw_memory(history: MemoryHistory, width: float = WIDTH) -> MemoryPlot | None:
    """The drawing, `NARROW_WIDTH` wide for a phone; None for fewer than two points."""
    if len(history.points) < 2:
        return None
    start, end = history.points[0].at, _end(history)
    top = _HEADROOM * max(
        *(point.used_bytes for point in history.points),
        history.limit_bytes or 0,
        history.threshold_bytes or 0,
    )
    span = max((end - start).total_seconds(), 1.0)

    def x(at: datetime) -> float:
        ratio = min(max((at - start).total_seconds() / span, 0.0), 1.0)
        return round(LEFT + ratio * (width - LEFT - RIGHT), 1)

    def y(size: float) -> float:
        return round(HEIGHT - BOTTOM - size / top * (HEIGHT - TOP - BOTTOM), 1)

    origin = _origin(history)
    crossing = history.crosses_at
    projected = crossing is not None and history.threshold_bytes is not None and crossing > origin.at
    return MemoryPlot(
        width=width,
        path=_line([(x(point.at), y(point.used_bytes)) for point in history.points]),
        projection=_line([(x(origin.at), y(origin.used_bytes)), (x(crossing), y(history.threshold_bytes))])
        if projected and crossing is not None and history.threshold_bytes is not None
        else "",
        threshold_y=y(history.threshold_bytes) if history.threshold_bytes else None,
        limit_y=y(history.limit_bytes) if history.limit_bytes else None,
        restarts_x=tuple(x(each) for each in history.restarts if start <= each <= end),
        crossing=(x(history.crosses_earliest or crossing), x(crossing), x(history.crosses_latest or end))
        if projected and crossing is not None
        else None,
        bytes_ticks=tuple(Tick(place=y(size), text=f"{size / _MEBIBYTE:,.0f} MiB") for size in _steps(top)),
        time_ticks=_time_ticks(start, end, x, _TICKS if width >= WIDTH else 3),
        description=_description(history),
    )


def _end(history: MemoryHistory) -> datetime:
    """A little beyond the likely crossing, but never so far that the measured part shrinks to a corner."""
    start, last = history.points[0].at, history.points[-1].at
    if history.crosses_at is None or history.crosses_at <= last:
        return last
    return min(history.crosses_at + (last - start) * 0.1, last + (last - start))


def _origin(history: MemoryHistory) -> MemoryPoint:
    """Where the projection starts: memory of a later run has nothing to do with it."""
    before = [
        point for point in history.points if not history.projected_at or point.at <= history.projected_at
    ]
    return before[-1] if before else history.points[0]


def _line(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{'M' if index == 0 else 'L'}{x} {y}" for index, (x, y) in enumerate(places))


def _steps(top: float) -> list[float]:
    """Round numbers of MiB from zero to the top, about five."""
    rough = top / _MEBIBYTE / _TICKS
    power = 10.0 ** (len(str(int(rough))) - 1) if rough >= 1 else 1.0
    step = next(power * nice for nice in _NICE_STEPS if power * nice >= rough) * _MEBIBYTE
    return [index * step for index in range(int(top / step) + 1)]


def _time_ticks(
    start: datetime, end: datetime, x: Callable[[datetime], float], most: int
) -> tuple[Tick, ...]:
    """At round times, so that what a tick says is where it stands."""
    step = next((one for one in _TIME_STEPS if (end - start) / one <= most), _TIME_STEPS[-1])
    text = "%d %b %H:%M" if end - start > timedelta(days=1) else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
    begins = datetime.fromtimestamp(-(-start.timestamp() // step.total_seconds()) * step.total_seconds(), UTC)
    moments = [begins + step * index for index in range(int((end - begins) / step) + 1)]
    return tuple(Tick(place=x(at), text=f"{at:{text}}") for at in moments)


def _description(history: MemoryHistory) -> str:
    first, last = history.points[0], history.points[-1]
    told = (
        f"Memory went from {first.used_bytes / _MEBIBYTE:,.0f} MiB at {first.at:%Y-%m-%d %H:%M} UTC to "
        f"{last.used_bytes / _MEBIBYTE:,.0f} MiB at {last.at:%Y-%m-%d %H:%M} UTC"
    )
    if history.threshold_bytes:
        told += f"; the threshold is {history.threshold_bytes / _MEBIBYTE:,.0f} MiB"
    if history.crosses_at and history.crosses_at > _origin(history).at:
        told += f", projected to be reached at {history.crosses_at:%Y-%m-%d %H:%M} UTC"
    if history.restarts:
        told += f"; restarted at {', '.join(f'{each:%H:%M}' for each in history.restarts)} UTC"
    return told + "."
