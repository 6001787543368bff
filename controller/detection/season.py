"""
The same hour of successive days: growth under a daily rhythm.

What repeats every day cancels in the difference between a moment and the same moment a day before; what is
kept from one day to the next stays.
"""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import fill_gaps, measure, window_floors
from controller.detection.lives import levelled_off_before
from controller.detection.rivals import evidence_of_growth
from controller.detection.runs import SEEN_FROM_START_SECONDS
from controller.detection.sensitivity import DAY, Caution
from controller.detection.timeline import Flags, Floats, Indices

HOUR = 3600.0
MOST_DAYS = 10

TRAILING_HOURS = (1, 6, 24)
"""How long the floors are that are compared: longer ones look through longer collection cycles."""

MEANS = 14
"""Means of a day that are compared with curves that stop."""

SECOND_DAY = (34 * HOUR, 60 * HOUR)
"""Ages of a run of which ten hours and more of the second day, but no two whole days are known."""

EVEN, GOES_ON, STEP, RECORD, MATERIAL = 0.8, 0.8, 0.2, 0.5, 0.125
"""
What the hours of a second day must have gained on the first: nine in ten of them this share of the median;
the newest third this share of the oldest; no three hours more than this share of the whole; the crest half
of it; and the median this share of the threshold. A level that moved once gains alike, but not in both
thirds and not for longer than a day: patience is a share of the hours compared.
"""


def judge_days(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """Compares days wherever two and a quarter of them are known."""
    rows = np.flatnonzero(candidates.judged & ~np.isnan(candidates.threshold) & ~candidates.only_working_set)
    ages = candidates.runs.ages[rows]
    rows = rows[ages >= 54 * HOUR]
    if not len(rows):
        return
    hours = int(min(candidates.runs.ages[rows].max() // HOUR, 24 * MOST_DAYS))
    hourly, lived = _hourly(candidates, rows, hours)
    known = np.mean(~np.isnan(hourly[:, -54:]), axis=1) >= caution.gates.coverage
    tops = _daily_tops(candidates, rows, hours, lived)
    rows, hourly, lived, tops = rows[known], hourly[known], lived[known], tops[known]
    if not len(rows):
        return
    filled = np.where(lived, fill_gaps(np.where(lived, hourly, np.nan)), np.nan)
    for trailing in TRAILING_HOURS:
        floors = _trailing_minimum(filled, trailing)
        _compare(candidates, caution, rows, floors, tops, trailing, findings)


def judge_second_day(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """
    Compares the second day with the first while it goes on, where the run was seen from its start.

    A leak under a rhythm gains the same at every hour; what fills up or warms up gains ever less.
    """
    ages = candidates.runs.ages
    able = candidates.judged & ~np.isnan(candidates.threshold) & ~candidates.only_working_set
    able &= candidates.runs.unseen < SEEN_FROM_START_SECONDS
    rows = np.flatnonzero(able & (ages >= SECOND_DAY[0]) & (ages < SECOND_DAY[1]))
    if not len(rows):
        return
    hours = int(ages[rows].max() // HOUR)
    hourly, lived = _hourly(candidates, rows, hours)
    covered = np.sum(~np.isnan(hourly) & lived, axis=1) >= caution.gates.coverage * np.sum(lived, axis=1)
    rows, hourly, lived = rows[covered], hourly[covered], lived[covered]
    if not len(rows):
        return
    floors = np.where(lived, fill_gaps(np.where(lived, hourly, np.nan)), np.nan)
    compared = np.sum(lived, axis=1) - 24.0
    gain = _even_gain(candidates, rows, floors, compared)
    kept = gain > 0
    if kept.any():
        rows, span, slope = rows[kept], (compared[kept] + 24) * HOUR, gain[kept] / DAY
        allowed = caution.patience.second_day_compared * compared[kept] * HOUR
        _weigh_days(
            candidates,
            caution,
            rows,
            span,
            slope,
            floors[kept, -1],
            allowed,
            np.zeros(len(rows), np.bool_),
            findings,
        )


def _even_gain(candidates: Candidates, rows: Indices, floors: Floats, compared: Floats) -> Floats:
    """What each row's hours gained on the same hours a day before, in bytes; 0 where not all of them did."""
    daily = floors[:, 24:] - floors[:, :-24]
    newest = np.minimum(compared, 24.0)[:, None]
    ago = np.arange(daily.shape[1])[::-1]
    gains = np.where(ago < newest, daily, np.nan)
    gain = np.nanmedian(gains, axis=1)
    third = np.floor(newest / 3)
    late = np.nanmedian(np.where(ago < third, gains, np.nan), axis=1)
    early = np.nanmedian(np.where(ago >= newest - third, gains, np.nan), axis=1)
    rises = floors[:, 3:] - floors[:, :-3]
    step = np.nanmax(np.where(np.arange(rises.shape[1])[::-1] < newest, rises, np.nan), axis=1)
    first = floors[np.arange(len(rows)), np.argmax(~np.isnan(floors), axis=1)]
    even = (np.nanquantile(gains, 0.1, axis=1) >= EVEN * gain) & (daily[:, -1] >= EVEN * gain)
    kept = even & (late >= GOES_ON * early) & (gain >= MATERIAL * candidates.threshold[rows])
    kept &= step <= STEP * np.maximum(gain, floors[:, -1] - first)
    kept &= _record_over_first_day(candidates, rows, floors, newest) >= RECORD * gain
    return np.asarray(np.where(kept, gain, 0.0))


def _record_over_first_day(candidates: Candidates, rows: Indices, floors: Floats, newest: Floats) -> Floats:
    """The second highest of the `newest` hourly tops above everything before them; shape (rows,)."""
    hours = floors.shape[1]
    begins = np.full(len(rows), -hours * HOUR)
    tops = window_floors(
        candidates.timeline, candidates.top_extremes, rows, begins, np.zeros(len(rows)), hours
    )
    tops = np.where(np.isnan(floors) | np.isnan(tops), -np.inf, tops)
    ago = np.arange(hours)[::-1]
    second = np.sort(np.where(ago < newest, tops, -np.inf), axis=1)[:, -2]
    return np.asarray(second - np.max(np.where(ago < newest, -np.inf, tops), axis=1))


def _hourly(candidates: Candidates, rows: Indices, hours: int) -> tuple[Floats, Flags]:
    """The floor of each of the last `hours` hours, and where the present run lived; shapes (rows, hours)."""
    begins = np.full(len(rows), -hours * HOUR)
    hourly = window_floors(
        candidates.timeline, candidates.floor_extremes, rows, begins, np.zeros(len(rows)), hours
    )
    return hourly, np.arange(-hours, 0) * HOUR >= candidates.runs.begins[rows][:, None] - 1.0


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
    place = np.flatnonzero(kept)
    kept[place] = ~_bends(candidates, caution, rows[place], floors[place], confirmed[place])
    if kept.any():
        span = np.minimum((confirmed + 24) * HOUR, candidates.runs.ages[rows])
        slope = np.minimum(gain, np.nanmedian(newest, axis=1)) / DAY
        rows, span, slope, floors = rows[kept], span[kept], slope[kept], floors[kept]
        since_start = _since_start(candidates, rows, span)
        # A week rises from Monday on and falls at its end: what began inside the run has to outlive one.
        patience = np.select(
            [span >= 6.6 * DAY, since_start], [caution.patience.week, caution.patience.same_hour], 0.0
        )
        with_level = ~candidates.load.known[rows] & _grows_with_level(floors)
        _weigh_days(
            candidates, caution, rows, span, slope, floors[:, -1], patience * span, with_level, findings
        )


def _since_start(candidates: Candidates, rows: Indices, span: Floats) -> Flags:
    """Where the growth fills the run, of which little is older than the record."""
    runs = candidates.runs
    return np.asarray((span >= 0.75 * runs.ages[rows]) & (runs.unseen[rows] <= 0.25 * span))


def _bends(
    candidates: Candidates, caution: Caution, rows: Indices, floors: Floats, confirmed: Floats
) -> Flags:
    """Whether something that stops by itself explains the daily means as well as growth that goes on."""
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    lived = ~np.isnan(floors)
    total = np.cumsum(np.where(lived, floors, 0.0), axis=1)
    means = np.full_like(floors, np.nan)
    means[:, 24:] = (total[:, 24:] - total[:, :-24]) / 24
    means[:, 24:][~lived[:, 1:-23]] = np.nan
    shares = np.linspace(0.0, 1.0, MEANS)
    ago = np.rint(confirmed[:, None] * (1 - shares)).astype(np.intp)
    values = np.take_along_axis(means, floors.shape[1] - 1 - ago, axis=1)
    shapes = measure(values, confirmed * HOUR)
    nats = evidence_of_growth(values, shapes, candidates.harmless_below[rows], rhythm=False)
    gates = caution.gates
    return np.asarray(nats < np.where(shapes.straightness < gates.bent, gates.nats_doubtful, gates.nats))


def _confirmed_hours(daily: Floats, least: Floats) -> Floats:
    """For how many newest hours a day has added at least `least`, one miss in ten forgiven."""
    misses = np.cumsum(~(daily[:, ::-1] > least[:, None]), axis=1)
    hours = np.arange(1, daily.shape[1] + 1)
    broken = misses > 0.1 * (hours + 10)
    found = np.where(broken.any(axis=1), np.argmax(broken, axis=1), daily.shape[1])
    known = np.sum(~np.isnan(daily), axis=1)
    return np.asarray(np.minimum(found, known), dtype=np.float64)


def _walk(daily: Floats, floors: Floats, confirmed: Floats) -> Floats:
    """The growth in standard errors of a random walk with the same six-hour roughness."""
    steps = daily[:, 6:] - daily[:, :-6]
    roughness = np.sqrt(np.nanmean(steps**2, axis=1) / 12)
    back = _back(floors, confirmed)
    grown = floors[:, -1] - floors[np.arange(len(floors)), floors.shape[1] - 1 - back]
    return np.asarray(grown / np.maximum(roughness * np.sqrt(back), 1e-9))


def _back(floors: Floats, confirmed: Floats) -> Indices:
    """How many hours ago the growth began, of those that were lived."""
    lived = np.sum(~np.isnan(floors), axis=1)
    return np.asarray(np.minimum(confirmed + 24, np.maximum(lived - 1, 1)).astype(np.intp))


def _one_step(floors: Floats, confirmed: Floats, trailing: int) -> Flags:
    """Whether most of the growth came within three hours; only where floors are long enough to hide teeth."""
    if trailing < 24:
        return np.zeros(len(floors), dtype=np.bool_)
    rises = floors[:, 3:] - floors[:, :-3]
    count = rises.shape[1]
    inside = np.arange(count) >= count - (confirmed + 24)[:, None]
    largest = np.nanmax(np.where(inside & ~np.isnan(rises), rises, -np.inf), axis=1)
    back = _back(floors, confirmed)
    total = floors[:, -1] - floors[np.arange(len(floors)), floors.shape[1] - 1 - back]
    return np.asarray(largest > 0.6 * np.maximum(total, 1.0))


def _weigh_days(
    candidates: Candidates,
    caution: Caution,
    rows: Indices,
    span: Floats,
    slope: Floats,
    newest: Floats,
    allowed: Floats,
    grows_with_level: Flags,
    findings: Findings,
) -> None:
    """Compares the time to the threshold with what is `allowed`, both in seconds."""
    day = np.zeros(len(rows))
    tops = window_floors(candidates.timeline, candidates.danger_extremes, rows, day - 24 * HOUR, day, 24)
    # The day's crest may be a day old: carried to now, it is where the next one will be.
    carried = tops + slope[:, None] * HOUR * np.arange(23, -1, -1)
    crest = np.sort(np.where(np.isnan(carried), -np.inf, carried), axis=1)[:, -2]
    left = np.maximum(candidates.threshold[rows] - crest, 0.0) / slope
    explained = candidates.load.explained_share(
        candidates.timeline, candidates.floor_extremes, rows, candidates.runs.begins[rows], span
    )
    before = levelled_off_before(
        candidates.lives,
        rows,
        candidates.true_ages[rows],
        newest,
        slope,
        candidates.harmless_below[rows],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        told = (explained <= 0.5) & ~grows_with_level & ~before & (allowed > 0)
        urgency = np.where(told, left / allowed, np.inf)
    began_below = newest - slope * span < candidates.threshold[rows]
    leaking = (urgency <= 1) & began_below & (slope * span >= 0.1 * candidates.threshold[rows])
    findings.leaking_by_days[rows] |= leaking
    since = np.maximum(crest - candidates.threshold[rows], 0.0) / slope
    findings.firm[rows] |= leaking & caution.firm_by_days(span - since)
    findings.suspect[rows] |= left <= 3 * span
    findings.follows_load[rows] |= explained > 0.5
    findings.levelled_before[rows] |= before
    findings.keep(
        rows,
        np.where(leaking, urgency, 1 + left / span),
        span=span,
        slope=slope,
        gain=slope * span,
        crest=crest,
        by_day=True,
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
