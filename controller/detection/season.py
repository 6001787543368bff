"""
The same hour of successive days: growth under a daily rhythm.

What repeats every day cancels in the difference between a moment and the same moment a day before; what is
kept from one day to the next stays.
"""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import fill_gaps, window_floors
from controller.detection.sensitivity import DAY, Caution
from controller.detection.timeline import Flags, Floats, Indices

HOUR = 3600.0
MOST_DAYS = 10

TRAILING_HOURS = (1, 6, 24)
"""How long the floors are that are compared: longer ones look through longer collection cycles."""


def judge_days(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """Compares days wherever two and a quarter of them are known."""
    rows = np.flatnonzero(candidates.judged & ~np.isnan(candidates.threshold) & ~candidates.only_working_set)
    ages = candidates.runs.ages[rows]
    rows = rows[ages >= 54 * HOUR]
    if not len(rows):
        return
    hours = int(min(candidates.runs.ages[rows].max() // HOUR, 24 * MOST_DAYS))
    begins = np.full(len(rows), -hours * HOUR)
    hourly = window_floors(
        candidates.timeline, candidates.floor_extremes, rows, begins, np.zeros(len(rows)), hours
    )
    lived = np.arange(-hours, 0) * HOUR >= candidates.runs.begins[rows][:, None] - 1.0
    known = np.mean(~np.isnan(hourly[:, -54:]), axis=1) >= caution.gates.coverage
    tops = _daily_tops(candidates, rows, hours, lived)
    rows, hourly, lived, tops = rows[known], hourly[known], lived[known], tops[known]
    if not len(rows):
        return
    filled = np.where(lived, fill_gaps(np.where(lived, hourly, np.nan)), np.nan)
    for trailing in TRAILING_HOURS:
        floors = _trailing_minimum(filled, trailing)
        _compare(candidates, caution, rows, floors, tops, trailing, findings)


def _trailing_minimum(values: Floats, hours: int) -> Floats:
    if hours == 1:
        return values
    windows = np.lib.stride_tricks.sliding_window_view(values, hours, axis=1)
    padded = np.full_like(values, np.nan)
    padded[:, hours - 1 :] = windows.min(axis=2)
    return padded


def _daily_tops(candidates: Candidates, rows: Indices, hours: int, lived: Flags) -> Floats:
    """The second highest hour of each day, newest day last; shape (rows, days), NaN where not lived."""
    begins = np.full(len(rows), -hours * HOUR)
    tops = window_floors(
        candidates.timeline, candidates.top_extremes, rows, begins, np.zeros(len(rows)), hours
    )
    tops = np.where(lived & ~np.isnan(tops), tops, -np.inf)
    days = hours // 24
    by_day = tops[:, hours - 24 * days :].reshape(len(rows), days, 24)
    second = np.sort(by_day, axis=2)[:, :, -2]
    return np.asarray(np.where(np.isfinite(second), second, np.nan))


def _compare(
    candidates: Candidates,
    caution: Caution,
    rows: Indices,
    floors: Floats,
    tops: Floats,
    trailing: int,
    findings: Findings,
) -> None:
    """One length of floors: how much a day adds, for how long it has done so, and what is left."""
    if floors.shape[1] < 54:
        return
    daily = floors[:, 24:] - floors[:, :-24]
    newest, before = daily[:, -24:], daily[:, -48:-24]
    gain = np.median(newest, axis=1)
    previous = np.median(np.where(np.isnan(before), np.nan_to_num(gain)[:, None], before), axis=1)
    with np.errstate(invalid="ignore"):
        confirmed = _confirmed_hours(daily, 0.2 * gain)
        level = np.median(floors[:, -24:], axis=1)
        limit = np.nan_to_num(candidates.runs.limit[rows])
        material = gain > np.maximum(0.025 * level, 0.004 * limit)
        goes_on = gain >= 0.6 * previous
        record = tops[:, -1] >= np.nanmax(np.where(np.isnan(tops), -np.inf, tops)[:, :-1], axis=1)
        kept = material & (confirmed >= 28) & goes_on & record & (_walk(daily, floors, confirmed) >= 3.5)
        kept &= ~_one_step(floors, confirmed, trailing)
    if kept.any():
        span = np.minimum((confirmed + 24) * HOUR, candidates.runs.ages[rows])
        slope = np.minimum(gain, np.nanmedian(newest, axis=1)) / DAY
        _weigh_days(candidates, caution, rows[kept], span[kept], slope[kept], floors[kept], findings)


def _confirmed_hours(daily: Floats, least: Floats) -> Floats:
    """For how many newest hours a day has added at least `least`, one miss in ten forgiven."""
    misses = np.cumsum(~(daily[:, ::-1] > least[:, None]), axis=1)
    hours = np.arange(1, daily.shape[1] + 1)
    broken = misses > 0.1 * (hours + 10)
    found = np.where(broken.any(axis=1), np.argmax(broken, axis=1), daily.shape[1])
    return np.asarray(found, dtype=np.float64)


def _walk(daily: Floats, floors: Floats, confirmed: Floats) -> Floats:
    """The growth in standard errors of a random walk with the same six-hour roughness."""
    steps = daily[:, 6:] - daily[:, :-6]
    roughness = np.sqrt(np.nanmean(steps**2, axis=1) / 12)
    count = floors.shape[1]
    back = np.minimum(confirmed + 24, count - 1).astype(np.intp)
    rows = np.arange(len(floors))
    past = floors[rows, count - 1 - back]
    return np.asarray((floors[:, -1] - past) / np.maximum(roughness * np.sqrt(back), 1e-9))


def _one_step(floors: Floats, confirmed: Floats, trailing: int) -> Flags:
    """Whether most of the growth came within three hours; only where floors are long enough to hide teeth."""
    if trailing < 24:
        return np.zeros(len(floors), dtype=np.bool_)
    rises = floors[:, 3:] - floors[:, :-3]
    count = rises.shape[1]
    inside = np.arange(count) >= count - (confirmed + 24)[:, None]
    largest = np.nanmax(np.where(inside & ~np.isnan(rises), rises, -np.inf), axis=1)
    back = np.minimum(confirmed + 24, floors.shape[1] - 1).astype(np.intp)
    total = floors[:, -1] - floors[np.arange(len(floors)), floors.shape[1] - 1 - back]
    return np.asarray(largest > 0.6 * np.maximum(total, 1.0))


def _weigh_days(
    candidates: Candidates,
    caution: Caution,
    rows: Indices,
    span: Floats,
    slope: Floats,
    floors: Floats,
    findings: Findings,
) -> None:
    day = np.zeros(len(rows))
    tops = window_floors(candidates.timeline, candidates.danger_extremes, rows, day - 24 * HOUR, day, 24)
    # The day's crest may be a day old: carried to now, it is where the next one will be.
    carried = tops + slope[:, None] * HOUR * np.arange(23, -1, -1)
    crest = np.sort(np.where(np.isnan(carried), -np.inf, carried), axis=1)[:, -2]
    left = np.maximum(candidates.threshold[rows] - crest, 0.0) / slope
    explained = candidates.load.explained_share(
        candidates.timeline, candidates.floor_extremes, rows, candidates.runs.begins[rows], span
    )
    follows = (explained > 0.5) | (~candidates.load.known[rows] & _grows_with_level(floors))
    patience = np.where(span >= 6.6 * DAY, caution.patience.week, caution.patience.same_hour)
    urgency = np.where(follows, np.inf, left / (patience * span))
    began_below = floors[:, -1] - slope * span < candidates.threshold[rows]
    leaking = (urgency <= 1) & began_below & (slope * span >= 0.1 * candidates.threshold[rows])
    findings.leaking_by_days[rows] |= leaking
    findings.suspect[rows] |= left <= 3 * span
    findings.follows_load[rows] |= explained > 0.5
    findings.keep(
        rows,
        np.where(leaking, urgency, 1 + left / span),
        span=span,
        slope=slope,
        gain=slope * span,
        crest=crest,
    )


def _grows_with_level(floors: Floats) -> Flags:
    """Whether busy hours grew much more than quiet ones: traffic, not a leak, grows in proportion."""
    level, added = floors[:, -48:-24], floors[:, -24:] - floors[:, -48:-24]
    order = np.argsort(level, axis=1)
    quiet = np.median(np.take_along_axis(added, order[:, :8], axis=1), axis=1)
    busy = np.median(np.take_along_axis(added, order[:, -8:], axis=1), axis=1)
    swing = np.median(np.take_along_axis(level, order[:, -8:], axis=1), axis=1) - np.median(
        np.take_along_axis(level, order[:, :8], axis=1), axis=1
    )
    return np.asarray((swing > 1.5 * np.median(added, axis=1)) & (quiet < 0.6 * busy))
