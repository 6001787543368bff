"""
Explanations that stop by themselves, against growth that goes on.

Both sides are fits y = a + c f(t) with c >= 0 to the same floors; a bounded one must stop below the limit to
count. Growth in time that outlived a day is seen through the rhythm of its days, where it has one: both sides
have a daily sine for free there, so that it speaks for neither. The evidence is half the effective sample
size times the logarithm of the ratio of their squared errors (a difference of log-likelihoods, in nats).
"""

from functools import cache

import numpy as np

from controller.detection.growth import Shapes, fill_gaps
from controller.detection.load import without_trend
from controller.detection.sensitivity import DAY, DAY_OUTLIVED
from controller.detection.timeline import Floats, Indices
from controller.detection.trend import effective_sample_size

FEWEST_A_DAY = 3
"""Blocks of a day below which its rhythm is not seen."""

RHYTHM_SHOWS = 1.6
"""
How many times smaller a daily sine must make the squared error of a line to be there. One that is not there
would speak for what stops: over little more than a day it bends a line as that does.
"""

LONGEST_LIMB = 1.6 * DAY
"""Growth of this age and more is no limb of one day."""


def evidence_of_growth(values: Floats, shapes: Shapes, ceiling: Floats, *, rhythm: bool) -> Floats:
    """
    By how many nats growth explains `values` (rows, blocks) better than the best bounded rival; (rows,).

    A rival counts that stops below its row's `ceiling` in bytes. `rhythm` says whether that of the days is in
    `values`: they are spread over time, and no means of days.
    """
    y = fill_gaps(values)
    if not rhythm:
        return _nats(y, shapes.span, ceiling, _level(y.shape[1]))
    nats = np.empty(len(y))
    rows, daily = _rhythm_of_days(y, shapes.span)
    others = np.delete(np.arange(len(y)), rows)
    for chosen, free in ((rows, daily), (others, _level(y.shape[1]))):
        if len(chosen):
            nats[chosen] = _nats(y[chosen], shapes.span[chosen], ceiling[chosen], free)
    return nats


def _nats(y: Floats, spans: Floats, ceiling: Floats, free: Floats) -> Floats:
    """The same where both sides have orthonormal columns for free; (1 or rows, count, columns)."""
    count = y.shape[1]
    functions, ends = _functions(count)
    mean = y.mean(axis=1)
    moves = _beyond(free, y.reshape(len(free), -1, count))
    errors, scale = _errors(moves, free, functions)
    bounded = np.isfinite(ends)
    grows = errors[:, ~bounded].min(axis=1)
    tops = mean[:, None] + scale[:, bounded] * (ends - functions.mean(axis=1))[bounded]
    stops = np.where(tops < ceiling[:, None], errors[:, bounded], np.inf).min(axis=1)
    best = np.minimum(stops, _daily_limb(y, spans, ceiling))
    worth = effective_sample_size(_off_the_line(moves, free))
    noise = count * (0.0015 * mean) ** 2
    return np.asarray(0.5 * worth * np.log((best + noise) / (grows + noise)))


def _level(count: int) -> Floats:
    """A level and nothing else; shape (1, count, 1)."""
    return np.full((1, count, 1), count**-0.5)


def _rhythm_of_days(y: Floats, spans: Floats) -> tuple[Indices, Floats]:
    """Rows whose growth outlived a day and clearly has its rhythm; a level and it, (those rows, count, 3)."""
    count = y.shape[1]
    rows = np.flatnonzero((spans >= DAY_OUTLIVED) & (FEWEST_A_DAY * spans <= count * DAY))
    daily = _daily(count, spans[rows])
    without = np.square(without_trend(y[rows])).sum(axis=1)
    beside = np.square(_off_the_line(_beyond(daily, y[rows, None, :]), daily)).sum(axis=1)
    shows = without >= RHYTHM_SHOWS * beside
    return rows[shows], daily[shows]


def _daily(count: int, spans: Floats) -> Floats:
    """Orthonormal columns of a level and a day's rhythm; shape (rows, count, 3)."""
    angle = 2 * np.pi * spans[:, None] * (np.arange(count) / count) / DAY
    sine, cosine = _unit(np.sin(angle)), _unit(np.cos(angle))
    cosine = _unit(cosine - np.einsum("rc,rc->r", cosine, sine)[:, None] * sine)
    return np.stack([np.full_like(sine, count**-0.5), sine, cosine], axis=2)


def _unit(rows: Floats) -> Floats:
    """Each row beside its level, of length one."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.einsum("rc,rc->r", centred, centred))[:, None])


def _off_the_line(moves: Floats, free: Floats) -> Floats:
    """What the best line beside what is free leaves of `moves` (groups, rows, count); shape (rows, count)."""
    line = _beyond(free, np.linspace(0.0, 1.0, moves.shape[2])[None, None])
    slope = moves @ line.transpose(0, 2, 1) / np.square(line).sum(axis=2, keepdims=True)
    return np.asarray(moves - slope * line).reshape(-1, moves.shape[2])


def _beyond(free: Floats, functions: Floats) -> Floats:
    """What `functions` (groups or 1, functions, count) are beside `free` (groups, count, columns)."""
    return np.asarray(functions - (functions @ free) @ free.transpose(0, 2, 1))


def _errors(moves: Floats, free: Floats, functions: Floats) -> tuple[Floats, Floats]:
    """Squared error and scale of the best fit with c >= 0 of each function; shapes (rows, functions)."""
    shape = _beyond(free, functions[None])
    power = np.square(shape).sum(axis=2)[:, None]
    scale = np.maximum(moves @ shape.transpose(0, 2, 1) / power, 0.0)
    errors = np.square(moves).sum(axis=2)[:, :, None] - scale * scale * power
    return errors.reshape(-1, len(functions)), scale.reshape(-1, len(functions))


@cache
def _functions(count: int) -> tuple[Floats, Floats]:
    """What grows and what is bounded, shape (functions, count), and where each ends: inf for what grows."""
    u = np.linspace(0.0, 1.0, count)
    growing = np.stack(
        [u, np.sqrt(u), u**0.75, u * u, np.expm1(2 * u), np.expm1(4 * u)]
        + [np.maximum(u - late, 0) for late in (0.2, 0.4)]
    )
    taus = np.array([0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.3])
    saturating = 1 - np.exp(-u / taus[:, None])
    scales = np.array([0.003, 0.02, 0.1])
    logarithmic = np.log1p(u / scales[:, None])
    middles, widths = np.array([0.3, 0.5, 0.7, 0.5]), np.array([0.12, 0.12, 0.12, 0.2])
    logistic = 1 / (1 + np.exp(-(u - middles[:, None]) / widths[:, None]))
    ends = [np.full(len(growing), np.inf), np.ones(len(taus)), np.log1p(4 / scales), np.ones(len(middles))]
    return np.concatenate([growing, saturating, logarithmic, logistic]), np.concatenate(ends)


def _daily_limb(y: Floats, spans: Floats, ceiling: Floats) -> Floats:
    """Error of the best daily sine that keeps between a fifth of the mean and the ceiling, or inf."""
    found = np.full(len(y), np.inf)
    short = np.flatnonzero(spans < LONGEST_LIMB)
    if not len(short):
        return found
    y, spans, ceiling = y[short], spans[short], ceiling[short]
    mean = y.mean(axis=1)
    centred = y - mean[:, None]
    angle = 2 * np.pi * spans[:, None] * np.linspace(0.0, 1.0, y.shape[1]) / DAY
    sine, cosine = np.sin(angle), np.cos(angle)
    sine_level, cosine_level = sine.mean(axis=1), cosine.mean(axis=1)
    total = np.einsum("ij,ij->i", centred, centred)
    s, c = sine - sine_level[:, None], cosine - cosine_level[:, None]
    ss, cc, sc = (np.einsum("ij,ij->i", left, right) for left, right in ((s, s), (c, c), (s, c)))
    ys, yc = np.einsum("ij,ij->i", centred, s), np.einsum("ij,ij->i", centred, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = ss * cc - sc * sc
        of_sine, of_cosine = (ys * cc - yc * sc) / determinant, (yc * ss - ys * sc) / determinant
        base = mean - of_sine * sine_level - of_cosine * cosine_level
        amplitude = np.hypot(of_sine, of_cosine)
        error = np.maximum(total - of_sine * ys - of_cosine * yc, 0.0)
        fits = (base + amplitude < ceiling) & (base - amplitude > 0.2 * mean)
    found[short] = np.where(fits & np.isfinite(error), error, np.inf)
    return found
