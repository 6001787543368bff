"""Puts what was found into words and times: one assessment per container."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

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
    young = _young_floors(candidates)
    for row, now in enumerate(moments):
        verdict, reason = _verdict(candidates, findings, row)
        doubtful = verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        told = doubtful and row in place
        growth = _growth(projection, place[row]) if told else None
        crossing = _crossing(projection, place[row], now) if told else None
        threshold = candidates.threshold[row]
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
            firm=bool(findings.firm[row]) or not doubtful,
            critical_earliest=_moment(float(projection.critical[place[row]]), now) if told else None,
            used_bytes=_whole(candidates.used[row]),
            limit_bytes=_whole(candidates.runs.limit[row]),
            threshold_bytes=_whole(threshold),
            young_floor_bytes=_whole(young[row]),
            started_at=_started(candidates, row, now),
            ready_at=_ready_at(candidates, caution, reason, row, now),
            tests=_tests(candidates, findings, row) if told else (),
        )


def _verdict(candidates: Candidates, findings: Findings, row: int) -> tuple[Verdict, AssessmentReason]:
    if not candidates.measured[row]:
        return Verdict.INSUFFICIENT_DATA, AssessmentReason.NO_DATA
    if candidates.stale[row]:
        return Verdict.INSUFFICIENT_DATA, AssessmentReason.STALE
    if findings.leaking_by_lives[row]:
        return Verdict.LEAKING, AssessmentReason.LIVES_GROW
    if candidates.too_young[row]:
        return Verdict.INSUFFICIENT_DATA, AssessmentReason.RUN_TOO_YOUNG
    if candidates.gappy[row]:
        return Verdict.INSUFFICIENT_DATA, AssessmentReason.GAPS
    if findings.leaking[row]:
        return Verdict.LEAKING, AssessmentReason.STEADY_GROWTH
    if findings.leaking_by_days[row]:
        return Verdict.LEAKING, AssessmentReason.GROWS_DAY_OVER_DAY
    if not findings.suspect[row]:
        return Verdict.HEALTHY, AssessmentReason.NOTHING_KEPT
    return Verdict.SUSPECT, _doubt(candidates, findings, row)


def _doubt(candidates: Candidates, findings: Findings, row: int) -> AssessmentReason:
    if findings.hidden[row]:
        goroutines = bool(findings.goroutines[row])
        return AssessmentReason.GOROUTINES_GROW if goroutines else AssessmentReason.LIVE_HEAP_GROWS
    if findings.beside[row]:
        return AssessmentReason.CACHE_GROWS
    if candidates.only_working_set[row]:
        return AssessmentReason.ONLY_WORKING_SET
    if np.isnan(candidates.threshold[row]):
        return AssessmentReason.NO_LIMIT
    if findings.follows_load[row]:
        return AssessmentReason.FOLLOWS_LOAD
    if findings.levelled_before[row]:
        return AssessmentReason.LEVELLED_OFF_BEFORE
    if findings.bounded[row]:
        return AssessmentReason.COULD_BE_BOUNDED
    return AssessmentReason.CROSSING_FAR


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


def _started(candidates: Candidates, row: int, now: datetime) -> datetime | None:
    started = float(candidates.runs.started[row])
    if not np.isfinite(started):
        return None
    return now + timedelta(seconds=round(started - candidates.lag))


def _ready_at(
    candidates: Candidates, caution: Caution, reason: AssessmentReason, row: int, now: datetime
) -> datetime | None:
    if reason not in (AssessmentReason.RUN_TOO_YOUNG, AssessmentReason.GAPS):
        return None
    lasting = max(float(candidates.runs.ages[row]) + candidates.lag, 0.0)
    wait = caution.shortest_run - lasting if reason is AssessmentReason.RUN_TOO_YOUNG else lasting / 2
    return now + timedelta(seconds=max(round(wait), round(caution.block_seconds)))


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


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
