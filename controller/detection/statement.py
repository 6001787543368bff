"""Puts what was found into words and times: one assessment per container."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import numpy as np

from controller.detection.assessment import Assessment, Crossing, Growth, GrowthClass, Verdict
from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import block_floors
from controller.detection.growth_class import name_classes
from controller.detection.projection import Projection, project
from controller.detection.reasons import AssessmentReason
from controller.detection.sensitivity import Caution
from controller.detection.timeline import Floats

MIB = 2.0**20
HOUR = 3600.0
FURTHEST = timedelta(days=3650)
"""Beyond this a projection is no date any more."""


def state(
    candidates: Candidates, findings: Findings, caution: Caution, moments: Sequence[datetime]
) -> Iterator[Assessment]:
    """The assessment of every container of `candidates`, in order, each as of its own moment."""
    grown = np.flatnonzero(np.isfinite(findings.urgency) & findings.told)
    projection = project(candidates, findings, grown)
    place = {int(row): index for index, row in enumerate(grown)}
    classes = name_classes(candidates, findings, grown)
    told_of = zip(moments, _verdicts(candidates, findings), *_columns(candidates, findings), strict=True)
    for row, (now, (verdict, reason), used, limit, threshold, young, started, firm) in enumerate(told_of):
        doubtful = verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        told = doubtful and row in place
        growth = _growth(projection, place[row]) if told else None
        crossing = _crossing(projection, place[row], now) if told else None
        yield Assessment(
            key=candidates.timeline.keys[row],
            at=now,
            verdict=verdict,
            reason=reason,
            message=_message(reason, growth, crossing, findings.span[row]),
            growth_class=_class(findings, classes, place, row) if doubtful else GrowthClass.UNKNOWN,
            growth=growth,
            crossing=crossing,
            onset=now - timedelta(seconds=float(findings.span[row]) + candidates.lag) if told else None,
            firm=firm or not doubtful,
            critical_earliest=_moment(float(projection.critical[place[row]]), now) if told else None,
            used_bytes=_whole(used),
            limit_bytes=_whole(limit),
            threshold_bytes=_whole(threshold),
            young_floor_bytes=_whole(young),
            started_at=_started(started, candidates.lag, now),
            ready_at=_ready_at(candidates, caution, reason, row, now),
            tests=_tests(candidates, findings, row) if told else (),
        )


def _columns(candidates: Candidates, findings: Findings) -> Iterator[list[Any]]:
    """What every assessment tells, as plain lists: numpy is slow at giving out single values."""
    runs = candidates.runs
    numbers = (candidates.used, runs.limit, candidates.threshold, _young_floors(candidates), runs.started)
    return (column.tolist() for column in (*numbers, findings.firm))


def _verdicts(candidates: Candidates, findings: Findings) -> Iterator[tuple[Verdict, AssessmentReason]]:
    """The verdict on every container: the first that holds, in the order in which they are asked."""
    insufficient, leaking, suspect = Verdict.INSUFFICIENT_DATA, Verdict.LEAKING, Verdict.SUSPECT
    asked = (
        (~candidates.measured, insufficient, AssessmentReason.NO_DATA),
        (candidates.stale, insufficient, AssessmentReason.STALE),
        (findings.leaking_by_lives, leaking, AssessmentReason.LIVES_GROW),
        (candidates.too_young, insufficient, AssessmentReason.RUN_TOO_YOUNG),
        (candidates.gappy, insufficient, AssessmentReason.GAPS),
        (findings.leaking, leaking, AssessmentReason.STEADY_GROWTH),
        (findings.leaking_by_days, leaking, AssessmentReason.GROWS_DAY_OVER_DAY),
        (~findings.suspect, Verdict.HEALTHY, AssessmentReason.NOTHING_KEPT),
        (findings.hidden & findings.goroutines, suspect, AssessmentReason.GOROUTINES_GROW),
        (findings.hidden, suspect, AssessmentReason.LIVE_HEAP_GROWS),
        (findings.beside > 0, suspect, AssessmentReason.CACHE_GROWS),
        (candidates.only_working_set, suspect, AssessmentReason.ONLY_WORKING_SET),
        (np.isnan(candidates.threshold), suspect, AssessmentReason.NO_LIMIT),
        (findings.follows_load, suspect, AssessmentReason.FOLLOWS_LOAD),
        (findings.levelled_before, suspect, AssessmentReason.LEVELLED_OFF_BEFORE),
        (findings.bounded, suspect, AssessmentReason.COULD_BE_BOUNDED),
        (findings.suspect, suspect, AssessmentReason.CROSSING_FAR),
    )
    first = np.argmax(np.stack([flags for flags, _, _ in asked]), axis=0)
    return (asked[place][1:] for place in first.tolist())


def _class(
    findings: Findings, classes: tuple[GrowthClass, ...], place: dict[int, int], row: int
) -> GrowthClass:
    if findings.hidden[row]:
        return GrowthClass.GOROUTINE if findings.goroutines[row] else GrowthClass.HEAP
    if findings.follows_heap[row]:
        return GrowthClass.HEAP
    return classes[place[row]] if row in place else GrowthClass.UNKNOWN


def _growth(projection: Projection, index: int) -> Growth | None:
    if not np.isfinite(projection.slope[index]):
        return None
    return Growth(
        bytes_per_hour=float(projection.slope[index]) * HOUR,
        low_bytes_per_hour=float(projection.low[index]) * HOUR,
        high_bytes_per_hour=float(projection.high[index]) * HOUR,
    )


def _crossing(projection: Projection, index: int, now: datetime) -> Crossing | None:
    earliest = _moment(float(projection.earliest[index]), now)
    likely = _moment(float(projection.likely[index]), now)
    if earliest is None or likely is None:
        return None
    return Crossing(earliest=earliest, likely=likely, latest=_moment(float(projection.latest[index]), now))


def _moment(seconds: float, now: datetime) -> datetime | None:
    if not seconds < FURTHEST.total_seconds():
        return None
    return now + timedelta(seconds=round(seconds))


def _message(
    reason: AssessmentReason, growth: Growth | None, crossing: Crossing | None, span_seconds: float
) -> str:
    if growth is None:
        return reason.sentence
    pace = f"grows {three_digits(growth.bytes_per_hour / MIB)} MiB/h over {_duration(span_seconds)}"
    until = f"; meets the threshold at about {crossing.likely:%Y-%m-%d %H:%MZ}" if crossing else ""
    return f"{pace}{until}. {reason.sentence}"


def three_digits(number: float) -> str:
    """`0.45`, `4.27`, `87.3`, `1441`: at least three digits, and never as a power of ten."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 2 * HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 72 * HOUR else f"{seconds / HOUR / 24:.1f} d"


def _young_floors(candidates: Candidates) -> Floats:
    """The lowest floor of the first tenth of each run that was seen from its start on."""
    rows = np.arange(len(candidates.used))
    floors = block_floors(
        candidates.timeline, candidates.floor_extremes, rows, np.maximum(candidates.runs.ages, 1.0), 10
    )[:, 0]
    seen_from = candidates.runs.known_from - candidates.timeline.block_seconds
    return np.asarray(np.where(candidates.runs.started >= seen_from, floors, np.nan))


def _started(started: float, lag: float, now: datetime) -> datetime | None:
    return now + timedelta(seconds=round(started - lag)) if isfinite(started) else None


def _ready_at(
    candidates: Candidates, caution: Caution, reason: AssessmentReason, row: int, now: datetime
) -> datetime | None:
    if reason not in (AssessmentReason.RUN_TOO_YOUNG, AssessmentReason.GAPS):
        return None
    lasting = max(float(candidates.runs.ages[row]) + candidates.lag, 0.0)
    wait = caution.shortest_run - lasting if reason is AssessmentReason.RUN_TOO_YOUNG else lasting / 2
    return now + timedelta(seconds=max(round(wait), round(caution.block_seconds)))


def _whole(value: float) -> int | None:
    return int(value) if isfinite(value) else None


def _tests(candidates: Candidates, findings: Findings, row: int) -> tuple[tuple[str, float], ...]:
    span, gain, crest = (float(values[row]) for values in (findings.span, findings.gain, findings.crest))
    grown = (("grownForSeconds", span), ("grownBytes", gain), ("crestBytes", crest))
    if findings.leaks[row]:
        return ("timeToThresholdOverAllowed", float(findings.urgency[row])), *grown
    threshold, pace = float(candidates.threshold[row]), float(findings.slope[row])
    if not (np.isfinite(threshold) and pace > 0):
        return grown
    # Nothing was allowed for what is only doubted: how far it is in terms of what it has grown for.
    return ("timeToThresholdOverGrown", max(threshold - crest, 0.0) / pace / span), *grown
