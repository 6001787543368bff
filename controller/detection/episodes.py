"""
Growth that began some time ago and still goes on: the main test.

For several look-backs the floors must have risen straight, without one big step or a fall back, above
every earlier top; then the time to the threshold is compared with the time it has lasted.
"""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.clock import Clock, RequestClock, WallClock
from controller.detection.findings import Findings
from controller.detection.growth import Shapes, block_floors, measure, window_floors, without_lone_dip
from controller.detection.hidden import HiddenGrowth, behind_a_soft_limit
from controller.detection.lives import levelled_off_before
from controller.detection.rivals import evidence_of_growth
from controller.detection.sensitivity import DAY_OUTLIVED, Caution, Growing
from controller.detection.timeline import Flags, Floats, Indices

LOOK_BACKS = (1.0, 0.8, 0.62, 0.48, 0.37, 0.28, 0.2, 0.14)
"""Shares of the run's age, since it began anew, at which growth may have begun."""

BLOCKS = (24, 14, 8)
"""How finely an episode is cut: fine for smooth memory, coarse to look through long collection cycles."""

BEFORE, ABOVE_THE_LINE = 6, 0.12
"""Blocks of a run before a look-back, and how far above its line they may lie, as a share of the growth."""

NO_LINE = 1e6
"""The urgency of growth that has no threshold to meet: the least of all."""

SUSPECT_WITHIN = 3.0
"""Beyond so many times the time it has lasted, a crossing is too far away to be told."""


def judge_episodes(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """
    Looks for growth over every look-back of every container that can be judged.

    From here on a row may stand several times in `rows`: once for each look-back.
    """
    rows = np.flatnonzero(candidates.judged)
    rows = rows[_may_grow(candidates, caution, rows)]
    _look_back(candidates, caution, WallClock(candidates.timeline), rows, caution.shortest_growth, findings)
    served = rows[candidates.load.known[rows]]
    if len(served):
        requests = RequestClock(candidates.timeline)
        _look_back(candidates, caution, requests, served, caution.short_growth, findings)


def _look_back(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    shortest: float,
    findings: Findings,
) -> None:
    spans = (np.array(LOOK_BACKS)[:, None] * candidates.runs.fresh_ages[rows]).ravel()
    rows = np.tile(rows, len(LOOK_BACKS))
    for blocks in BLOCKS:
        fine_enough = spans >= np.maximum(shortest, 1.5 * blocks * caution.block_seconds)
        if fine_enough.any():
            _judge(candidates, caution, clock, rows[fine_enough], spans[fine_enough], blocks, findings)


def _may_grow(candidates: Candidates, caution: Caution, rows: Indices) -> Flags:
    """The cheap pre-filter: some later part of the run lies materially above an earlier one."""
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    y = block_floors(
        candidates.timeline, candidates.floor_extremes, rows, candidates.runs.fresh_ages[rows], 8
    )
    low = np.fmin.accumulate(y, axis=1)
    with np.errstate(invalid="ignore"):
        rise = np.nanmax(np.where(np.isnan(y), -np.inf, y - low), axis=1)
        return np.asarray(rise >= 0.5 * caution.gates.gain_of_floor * low[:, 0])


def _judge(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    spans: Floats,
    blocks: int,
    findings: Findings,
) -> None:
    values = clock.floors(candidates.floor_extremes, rows, -spans, np.zeros(len(rows)), blocks)
    measured = np.mean(~np.isnan(values), axis=1) >= caution.gates.coverage
    rows, spans, values = rows[measured], spans[measured], _without_dips(clock, values[measured])
    if blocks < BLOCKS[1]:
        # A stair of few steps looks straight in few blocks; growth that outlived a day has room for more.
        young = spans < DAY_OUTLIVED
        rows, spans, values = rows[young], spans[young], values[young]
    if not len(rows):
        return
    shapes = measure(values, spans)
    kept = _grows(shapes, candidates, caution, rows)
    if not kept.any():
        return
    rows, spans, values, shapes = rows[kept], spans[kept], values[kept], shapes.only(kept)
    crest = _crest(candidates, caution, rows, spans, shapes.newest)
    kept = _new_record(candidates, rows, spans, crest, shapes.gain, caution.gates.record)
    if kept.any():
        _weigh(candidates, caution, clock, rows[kept], values[kept], shapes.only(kept), crest[kept], findings)


def _without_dips(clock: Clock, values: Floats) -> Floats:
    """Along requests a block may be a whole night, in which memory was given back."""
    return without_lone_dip(values) if clock.keeps_time else values


def _grows(shapes: Shapes, candidates: Candidates, caution: Caution, rows: Indices) -> Flags:
    gates = caution.gates
    first_day = shapes.span < DAY_OUTLIVED
    limit = np.nan_to_num(candidates.runs.limit[rows])
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (shapes.slope > 0)
            & (shapes.gain >= np.maximum(gates.gain_of_floor * shapes.first, gates.gain_of_limit * limit))
            & (shapes.late >= np.where(first_day, gates.late_first_day, gates.late))
            & (shapes.step <= np.where(first_day, gates.step_first_day, gates.step))
            & (shapes.fall <= gates.fall)
            & (shapes.straightness >= np.where(first_day, gates.straightness_first_day, gates.straightness))
            & (shapes.walk >= gates.walk)
        )


def _crest(candidates: Candidates, caution: Caution, rows: Indices, spans: Floats, newest: Floats) -> Floats:
    """The second highest of four tops of the newest sixth: one spike alone does not raise it."""
    window = np.maximum(spans / 6, caution.share(1 / 32, 4))
    tops = block_floors(candidates.timeline, candidates.top_extremes, rows, window, 4)
    tops.sort(axis=1)
    known = np.sum(~np.isnan(tops), axis=1)
    second = tops[np.arange(len(rows)), np.maximum(known - 2, 0)]
    return np.asarray(np.fmax(second, newest))


def _new_record(
    candidates: Candidates, rows: Indices, spans: Floats, crest: Floats, gain: Floats, share: float
) -> Flags:
    """Whether the crest lies above (nearly) every earlier top of the run, by a share of the gain."""
    timeline, runs = candidates.timeline, candidates.runs
    begin = np.searchsorted(timeline.starts, -spans - 1e-3)
    columns = np.arange(timeline.columns)
    before = (columns < begin[:, None]) & (columns >= runs.first[rows][:, None])
    tops = np.where(before, candidates.tops[rows], np.nan)
    known = np.sum(~np.isnan(tops), axis=1)
    tops.sort(axis=1)
    place = np.clip(np.floor(0.98 * (known - 1)), 0, None).astype(np.intp)
    record = tops[np.arange(len(rows)), place]
    return np.asarray((known < 4) | (crest >= record + share * gain))


def _weigh(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    values: Floats,
    shapes: Shapes,
    crest: Floats,
    findings: Findings,
) -> None:
    """Compares the time to the threshold with the time the growth has lasted."""
    danger = np.fmax(crest, _crest_of_danger(candidates, caution, rows, shapes))
    slope = np.minimum(shapes.slope, shapes.late_slope)
    behind = _crossed_unseen(candidates, caution, clock, rows, values.shape[1], shapes, danger)
    goal = np.where(behind, candidates.critical[rows], candidates.threshold[rows])
    left = np.maximum(goal - danger, 0) / slope
    stood_still = _stood_still_before(candidates, rows, -shapes.span, shapes)
    hidden = behind_a_soft_limit(candidates, caution, rows, shapes.slope, stood_still)
    lasted = np.maximum(shapes.span, hidden.span)
    near = np.isnan(goal) | (left <= SUSPECT_WITHIN * lasted)
    if not near.any():
        return
    rows, values, shapes = rows[near], values[near], shapes.only(near)
    danger, slope, goal, left, behind = danger[near], slope[near], goal[near], left[near], behind[near]
    hidden, lasted, stood_still = hidden.only(np.flatnonzero(near)), lasted[near], stood_still[near]
    now = np.zeros(len(rows))
    since_start = _since_start(candidates, rows, shapes, hidden, stood_still, now)
    threshold = candidates.threshold[rows]
    crossed = behind & (shapes.first < threshold)
    allowed, bounded = _trust(
        candidates, caution, clock, rows, values, shapes, lasted, since_start, now, crossed
    )
    allowed = np.where(crossed, np.minimum(allowed, caution.behind_the_line(lasted)), allowed)
    since_change = -candidates.runs.limit_changed[rows]
    allowed = np.where(since_change < caution.quiet_after_limit_change, 0.0, allowed)
    with np.errstate(divide="ignore", invalid="ignore"):
        urgency = np.where(allowed > 0, left / (allowed * lasted), np.inf)
    explained = candidates.load.explained_share(
        candidates.timeline, candidates.floor_extremes, rows, candidates.runs.begins[rows], shapes.span
    )
    follows = explained > 0.5
    before = levelled_off_before(
        candidates.lives,
        rows,
        candidates.true_ages[rows],
        shapes.newest,
        slope,
        candidates.harmless_below[rows],
    )
    leaking = (urgency <= 1) & _material(caution, shapes, hidden, goal, threshold) & ~np.isnan(goal)
    leaking &= ~bounded & ~follows & ~before
    place = np.flatnonzero(leaking)
    stalled = _stalled(candidates, caution, clock, rows[place], shapes.only(leaking))
    leaking[place], bounded[place] = ~stalled, stalled
    place, ago = np.flatnonzero(leaking), caution.persists(shapes.span[leaking])
    leaking[place] = _stood(
        candidates,
        caution,
        clock,
        rows[place],
        values.shape[1],
        shapes.only(leaking),
        hidden.only(place),
        ago,
        crossed[place],
    )
    suspect = shapes.span >= caution.short_growth
    told = leaking & ~candidates.only_working_set[rows]
    findings.leaking[rows[told]] = True
    over = np.maximum(danger - threshold, 0.0)
    # What always stood above its threshold never met it.
    sound = _straight(caution, shapes) & (shapes.first < threshold)
    # What was given back when it began anew may have been a cache: outgrowing the rest tells nothing.
    anew = np.isfinite(candidates.runs.anew[rows])
    began_with = np.where(anew, np.inf, shapes.first)
    firm = caution.firm(lasted - over / shapes.slope, shapes.gain - over, began_with, sound=sound)
    findings.firm[rows[told & firm]] = True
    findings.follows_heap[rows[told & (hidden.span > shapes.span)]] = True
    findings.suspect[rows[leaking | suspect]] = True
    findings.bounded[rows[bounded]] = True
    findings.follows_load[rows[follows]] = True
    findings.levelled_before[rows[before]] = True
    findings.keep(
        rows,
        np.where(leaking, urgency, np.nan_to_num(1 + left / lasted, nan=NO_LINE)),
        span=shapes.span,
        slope=shapes.slope,
        gain=shapes.gain,
        crest=danger,
    )


def _stalled(candidates: Candidates, caution: Caution, clock: Clock, rows: Indices, shapes: Shapes) -> Flags:
    """
    Where the newest eighth or sixteenth hardly grew.

    What fills up stops from one hour to the next; the whole look-back still looks straight then.
    """
    gates, stalled = caution.gates, np.zeros(len(rows), dtype=np.bool_)
    if not len(rows):
        return stalled
    for share, least in ((8, gates.newest_eighth), (16, gates.newest_sixteenth)):
        newest = np.maximum(shapes.span / share, 96 / share * caution.block_seconds)
        floors = clock.floors(candidates.floor_extremes, rows, -newest, np.zeros(len(rows)), 6)
        with np.errstate(divide="ignore", invalid="ignore"):
            passed = clock.passed(rows, newest) / clock.passed(rows, shapes.span)
        usual = shapes.slope * shapes.span / newest * passed
        stalled |= measure(floors, newest).slope < least * usual
    return stalled


def _crest_of_danger(candidates: Candidates, caution: Caution, rows: Indices, shapes: Shapes) -> Floats:
    """The same of the working set, each top carried to now along the slope: where the next tops will be."""
    window = np.maximum(shapes.span / 6, caution.share(1 / 32, 4))
    tops = block_floors(candidates.timeline, candidates.danger_extremes, rows, window, 4)
    ago = window[:, None] / 4 * np.arange(3, -1, -1)
    tops = tops + np.maximum(shapes.slope, 0.0)[:, None] * ago
    tops.sort(axis=1)
    known = np.sum(~np.isnan(tops), axis=1)
    return np.asarray(tops[np.arange(len(rows)), np.maximum(known - 2, 0)])


def _since_start(
    candidates: Candidates,
    rows: Indices,
    shapes: Shapes,
    hidden: HiddenGrowth,
    stood_still: Flags,
    ago: Floats,
) -> Flags:
    """
    Where growth that ended `ago` seconds before now fills the run, and where a run older than its record may
    have grown so since its start.

    What the run held before the look-back lies on its line carried back, or below it after a warm-up: what
    stood still first began later. Carried back to an unseen start the line must still leave something to
    begin with; otherwise it began later, in a part of the run that nobody saw, and may have come and gone
    there before.
    """
    runs = candidates.runs
    ages = runs.fresh_ages[rows]
    unseen = np.where(np.isfinite(runs.anew[rows]), 0.0, np.maximum(runs.unseen[rows], 0.0))
    at_start = shapes.first - shapes.slope * unseen
    fills = (shapes.span >= 0.75 * (ages - ago)) & ~stood_still
    return np.asarray((fills | (hidden.span >= 0.75 * ages)) & (at_start >= 0.1 * shapes.first))


def _stood_still_before(candidates: Candidates, rows: Indices, begins: Floats, shapes: Shapes) -> Flags:
    """Whether the run lay above the line of its growth on average before the look-back began."""
    ages = candidates.runs.fresh_ages[rows]
    before = window_floors(candidates.timeline, candidates.floor_extremes, rows, -ages, begins, BEFORE)
    ago = np.maximum(ages + begins, 0.0)[:, None] * (1 - (np.arange(BEFORE) + 0.5) / BEFORE)
    at_begin = (shapes.first + shapes.newest - shapes.slope * shapes.span) / 2
    above = before - (at_begin[:, None] - shapes.slope[:, None] * ago)
    known = ~np.isnan(above)
    mean = np.where(known, above, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.asarray(mean > ABOVE_THE_LINE * shapes.gain)


def _trust(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    values: Floats,
    shapes: Shapes,
    lasted: Floats,
    since_start: Flags,
    ago: Floats,
    crossed: Flags,
) -> tuple[Floats, Flags]:
    """
    How long a time left was still short for growth that ended `ago` seconds before now, and where something
    that stops by itself explains it as well.
    """
    gates, critical = caution.gates, candidates.critical[rows]
    # With the threshold behind it, what stops beyond the critical line is no better than what goes on.
    beyond = crossed & (critical > candidates.threshold[rows])
    ceiling = np.where(beyond, critical, candidates.harmless_below[rows])
    nats = evidence_of_growth(values, shapes, ceiling, rhythm=clock.keeps_time)
    first_day = shapes.span < DAY_OUTLIVED
    doubtful = (shapes.straightness < gates.bent) | (values.shape[1] < BLOCKS[1])
    doubtful |= first_day & (shapes.late > gates.accelerates)
    doubtful &= ~beyond
    allowed = caution.allowed(
        Growing(
            span=lasted,
            since_start=since_start,
            start_known=np.isfinite(candidates.runs.started[rows]),
            known_before=candidates.runs.ages[rows] - ago - lasted,
            straight=_straight(caution, shapes),
        )
    )
    return allowed, nats < np.where(doubtful, gates.nats_doubtful, gates.nats)


def _straight(caution: Caution, shapes: Shapes) -> Flags:
    return np.asarray((shapes.straightness >= caution.gates.straight) & (shapes.late >= 0.85))


def _material(
    caution: Caution, shapes: Shapes, hidden: HiddenGrowth, goal: Floats, threshold: Floats
) -> Flags:
    gates, goal = caution.gates, np.nan_to_num(goal)
    # What always stood above its threshold drifts there like anything else, and a day's growth is a day's: it
    # has to have met its line.
    drifts = ~(shapes.first < threshold) | (shapes.span < DAY_OUTLIVED)
    way = np.where(drifts, 1.0, gates.leak_gain_of_way) * (goal - shapes.first)
    least = np.clip(way, gates.least_leak_gain_of_goal * goal, gates.leak_gain_of_goal * goal)
    return np.asarray(np.maximum(shapes.gain, hidden.gain) >= least)


def _crossed_unseen(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    blocks: int,
    shapes: Shapes,
    danger: Floats,
) -> Flags:
    """
    Where memory is over the threshold and nothing could be said when it met it.

    Haste buys nothing any more there, and the line that counts is the critical one. What had grown for a day
    when it crossed, or would have been called a leak at that moment, stays one: a verdict outlives the
    crossing.
    """
    threshold = candidates.threshold[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        since = np.maximum(danger - threshold, 0.0) / np.maximum(shapes.slope, 1e-12)
        began_above = shapes.first >= threshold
        young_then = (danger >= threshold) & ~began_above & (shapes.span - since < DAY_OUTLIVED)
    place = np.flatnonzero(young_then)
    nothing = HiddenGrowth.nothing(len(place))
    stood = _stood(
        candidates,
        caution,
        clock,
        rows[place],
        blocks,
        shapes.only(young_then),
        nothing,
        since[place],
        np.zeros(len(place), dtype=np.bool_),
    )
    young_then[place[stood]] = False
    return np.asarray(young_then | began_above)


def _stood(
    candidates: Candidates,
    caution: Caution,
    clock: Clock,
    rows: Indices,
    blocks: int,
    shapes: Shapes,
    hidden: HiddenGrowth,
    ago: Floats,
    crossed: Flags,
) -> Flags:
    """Where the growth passed every test already as it was seen `ago` seconds before."""
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    begins, seen = -shapes.span, np.maximum(shapes.span - ago, caution.block_seconds)
    values = clock.floors(candidates.floor_extremes, rows, begins, begins + seen, blocks)
    values = _without_dips(clock, values)
    then = measure(values, seen)
    lasted = np.maximum(seen, hidden.span - ago)
    stood_still = _stood_still_before(candidates, rows, begins, then)
    since_start = _since_start(candidates, rows, then, hidden, stood_still, shapes.span - seen)
    allowed, bounded = _trust(
        candidates, caution, clock, rows, values, then, lasted, since_start, shapes.span - seen, crossed
    )
    threshold = candidates.threshold[rows]
    material = _material(caution, then, hidden, threshold, threshold)
    return np.asarray(_grows(then, candidates, caution, rows) & material & (allowed > 0) & ~bounded)
