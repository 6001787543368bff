"""
Memory that counts against the limit and does not belong to the process: files, shared memory, the kernel.

It is told, with its class, and never called a leak: a restart does not give it back, or the kernel takes it
back by itself.
"""

import numpy as np

from controller.detection.assessment import GrowthClass
from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.growth import measure, window_floors
from controller.detection.sensitivity import Caution
from controller.detection.timeline import Flags, Floats, Indices, RangeExtremes
from controller.detection.trend import slope_interval
from controller.metrics.series import Matrix, Signal

LOOK_BACKS = (1.0, 0.62, 0.37, 0.2)
BLOCKS = 14
SUSPECT_WITHIN = 3.0

NEWEST = 12
"""Blocks; fewer than the shortest growth that is looked at has."""

OWN_SHARE = 0.5
"""What grows is named after the part that holds at least this share of the growth."""


def judge_beside(candidates: Candidates, caution: Caution, findings: Findings) -> None:
    """Looks for growth of the working set that resident memory does not share."""
    timeline = candidates.timeline
    own = timeline.signals.get(Signal.RSS_FLOOR)
    whole = timeline.signals.get(Signal.WORKING_SET_FLOOR)
    if own is None or whole is None:
        return
    # More than a float holds, less as much, is unmeasured like anything else that is not told.
    with np.errstate(invalid="ignore"):
        beside = whole - own
    seen = -candidates.runs.known_from
    able = candidates.measured & ~candidates.stale & ~np.isnan(candidates.threshold)
    able &= (seen >= caution.short_growth) & ~findings.told
    rows = np.flatnonzero(able & _may_grow(beside, 0.02 * np.nan_to_num(candidates.threshold)))
    if not len(rows):
        return
    extremes = RangeExtremes(beside[rows])
    for share in LOOK_BACKS:
        spans = seen[rows] * share
        chosen = np.flatnonzero(spans >= caution.short_growth)
        if len(chosen):
            _judge(candidates, rows[chosen], chosen, spans[chosen], extremes, findings)


def _may_grow(beside: Matrix, least: Floats) -> Flags:
    """The cheap pre-filter: the newest blocks lie above the smallest value of all."""
    newest = np.fmin.reduce(beside[:, -NEWEST:], axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(newest - np.fmin.reduce(beside, axis=1) >= least)


def _judge(
    candidates: Candidates,
    rows: Indices,
    places: Indices,
    spans: Floats,
    extremes: RangeExtremes,
    findings: Findings,
) -> None:
    """`places` are the rows' places in `extremes`."""
    timeline, zero = candidates.timeline, np.zeros(len(rows))
    values = window_floors(timeline, extremes, places, -spans, zero, BLOCKS)
    known = np.mean(~np.isnan(values), axis=1) >= 0.6
    rows, spans, values = rows[known], spans[known], values[known]
    if not len(rows):
        return
    shapes = measure(values, spans)
    used = candidates.used[rows]
    threshold = candidates.threshold[rows]
    left = np.maximum(threshold - used, 0.0) / np.maximum(shapes.slope, 1e-12)
    with np.errstate(invalid="ignore"):
        grows = (
            (shapes.slope > 0)
            & (shapes.gain >= 0.05 * used)
            & (shapes.gain >= 0.04 * threshold)
            & (shapes.straightness >= 0.8)
            & (shapes.late >= 0.4)
            & (left <= SUSPECT_WITHIN * spans)
        )
    if not grows.any():
        return
    told = rows[grows]
    findings.suspect[told] = True
    findings.beside[told] = _class_codes(candidates, told, spans[grows], shapes.gain[grows])
    pace = shapes.slope[grows]
    likely = slope_interval(values[grows], spans[grows] / BLOCKS, z=1.64)
    findings.keep(
        told,
        1 + left[grows] / spans[grows],
        span=spans[grows],
        slope=pace,
        gain=shapes.gain[grows],
        crest=used[grows],
        between=(np.fmin(likely.low, pace), np.fmax(likely.high, pace)),
    )


CLASSES = (GrowthClass.PAGE_CACHE, GrowthClass.SHMEM, GrowthClass.KERNEL)


def _class_codes(candidates: Candidates, rows: Indices, spans: Floats, gain: Floats) -> Indices:
    """One more than the place in `CLASSES` of what holds most of `gain`; shape (rows,)."""
    cache = _rise(candidates, Signal.CACHE_FLOOR, rows, spans)
    active = _rise(candidates, Signal.ACTIVE_FILE, rows, spans)
    of_cache = _at_least(cache, OWN_SHARE * gain)
    of_files = _at_least(active, OWN_SHARE * gain) | np.isnan(active)
    return np.where(
        np.isnan(cache),
        np.where(_at_least(active, OWN_SHARE * gain), 1, 3),
        np.where(of_cache, np.where(of_files, 1, 2), 3),
    ).astype(np.intp)


def _rise(candidates: Candidates, signal: Signal, rows: Indices, spans: Floats) -> Floats:
    """The fitted rise of `signal` over each row's span; NaN where it is not measured."""
    matrix = candidates.timeline.signals.get(signal)
    if matrix is None:
        return np.full(len(rows), np.nan)
    extremes = RangeExtremes(matrix[rows])
    places = np.arange(len(rows))
    values = window_floors(candidates.timeline, extremes, places, -spans, np.zeros(len(rows)), BLOCKS)
    known = np.mean(~np.isnan(values), axis=1) >= 0.5
    return np.where(known, measure(values, spans).gain, np.nan)


def _at_least(values: Floats, bound: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.asarray(values >= bound)
