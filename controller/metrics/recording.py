"""
Recorded series: what a `query_range` answer holds, without what is no measurement.

Files come from anywhere. A file that is no matrix is refused with a sentence; a sample that is no number is
left out and counted, because half of a bad file is still evidence about the other half.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.metrics.floors import IMPOSSIBLE
from controller.metrics.series import Seconds

EARLIEST, LATEST = 946684800.0, 4102444800.0
"""2000 and 2100: a time outside is a mistake of units."""


class RecordingUnreadable(ValueError):
    """The document is no `query_range` answer. The text says what was expected and what was found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedSeries:
    """One series: `times` (unix seconds, ascending, no duplicates) and `values`, both of shape (samples,)."""

    name: str
    labels: Mapping[str, str]
    times: Seconds
    values: NDArray[np.float64]
    ignored: int
    """Samples left out: no number, not finite, negative, impossibly large, or a time that is none."""


def parse_answer(document: Any) -> tuple[RecordedSeries, ...]:
    """
    The series of a `query_range` answer. Raises RecordingUnreadable where it is none.

    Of samples with the same time the larger is kept: after a restart the old container's series lingers.
    """
    if not isinstance(document, Mapping):
        raise RecordingUnreadable(f"the document must be a JSON object (is {_kind(document)})")
    if document.get("status", "success") != "success":
        raise RecordingUnreadable(f"`status` must be 'success' (is {_refusal(document)})")
    data = document.get("data")
    if not isinstance(data, Mapping):
        raise RecordingUnreadable(f"`data` must be an object (is {_kind(data)})")
    if data.get("resultType") != "matrix":
        raise RecordingUnreadable(
            "`data.resultType` must be 'matrix', as query_range answers "
            f"(is '{_plain(data.get('resultType'), 80)}')"
        )
    result = data.get("result")
    if not isinstance(result, list):
        raise RecordingUnreadable(f"`data.result` must be a list (is {_kind(result)})")
    return tuple(series for entry in result if (series := _series(entry)) is not None)


def _series(entry: Any) -> RecordedSeries | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("metric"), Mapping):
        return None
    labels = {str(key): str(value) for key, value in entry["metric"].items()}
    points = entry.get("values")
    points = points if isinstance(points, list) else []
    times, values = _numbers(points)
    good = np.isfinite(values) & (values >= 0) & (values < IMPOSSIBLE) & (times > EARLIEST) & (times < LATEST)
    times, values = _in_order(times[good], values[good])
    return RecordedSeries(
        name=labels.get("__name__", ""),
        labels=labels,
        times=times,
        values=values,
        ignored=len(points) - int(good.sum()),
    )


def joined(recorded: Iterable[RecordedSeries]) -> tuple[RecordedSeries, ...]:
    """
    The same with one series for each set of labels: what several answers hold of a series is put together.

    Pieces of one counter would else count as that many counters, and rates add up where pieces overlap.
    """
    pieces: dict[frozenset[tuple[str, str]], list[RecordedSeries]] = {}
    for series in recorded:
        pieces.setdefault(frozenset(series.labels.items()), []).append(series)
    return tuple(_one(same) for same in pieces.values())


def _one(same: Sequence[RecordedSeries]) -> RecordedSeries:
    first = same[0]
    if len(same) == 1:
        return first
    times, values = _in_order(
        np.concatenate([series.times for series in same]), np.concatenate([series.values for series in same])
    )
    ignored = sum(series.ignored for series in same)
    return RecordedSeries(name=first.name, labels=first.labels, times=times, values=values, ignored=ignored)


def _in_order(times: Seconds, values: NDArray[np.float64]) -> tuple[Seconds, NDArray[np.float64]]:
    """By time, each time once, the larger of its values kept."""
    order = np.lexsort((values, times))
    times, values = times[order], values[order]
    newest = np.r_[times[1:] != times[:-1], True][: len(times)]
    return times[newest], values[newest]


def _numbers(points: list[Any]) -> tuple[Seconds, NDArray[np.float64]]:
    try:
        times = np.array([point[0] for point in points], dtype=np.float64)
        values = np.array([point[1] for point in points], dtype=np.float64)
    except (TypeError, ValueError, LookupError, OverflowError):
        return _readable_numbers(points)
    if times.ndim == 1 and values.ndim == 1:
        return times, values
    return _readable_numbers(points)


def _readable_numbers(points: Iterable[Any]) -> tuple[Seconds, NDArray[np.float64]]:
    """One by one, for series in which something is no number."""
    pairs: list[tuple[float, float]] = []
    for point in points:
        try:
            pairs.append((float(point[0]), float(point[1])))
        except (TypeError, ValueError, LookupError, OverflowError):
            continue
    array = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _refusal(document: Mapping[str, Any]) -> str:
    """The status of an answer that is an error, with what the source said of it."""
    said = [document.get(name) for name in ("errorType", "error")]
    words = [plain for one in said if isinstance(one, str) and (plain := _plain(one, 200))]
    return ": ".join([f"'{_plain(document.get('status'), 80)}'", *words])


def _plain(value: Any, most: int) -> str:
    """Text from anywhere in one line of at most `most` characters, each of which can be printed."""
    printable = "".join(character if character.isprintable() else " " for character in str(value))
    return " ".join(printable.split())[:most]


def _kind(value: Any) -> str:
    return "missing" if value is None else type(value).__name__
