"""
Explanations that stop by themselves, against growth that goes on.

Both sides are fits y = a + c f(t) with c >= 0 to the same floors; a bounded one must stop below the limit to
count. Growth in time that outlived a day is seen through the rhythm of its days, where it has one: both sides
have a daily sine for free there, so that it speaks for neither. The evidence is half the effective sample
size times the logarithm of the ratio of their squared errors (a difference of log-likelihoods, in nats).
"""

import numpy as np

from controller.detection.growth import Shapes, fill_gaps
from controller.detection.load import without_trend
from controller.detection.sensitivity import DAY, DAY_OUTLIVED
from controller.detection.timeline import Floats
from controller.detection.trend import effective_sample_size

FEWEST_A_DAY = 3
"""Blocks of a day below which its rhythm is not seen."""

RHYTHM_SHOWS = 1.6
"""
How many times smaller a daily sine must make the squared error of a line to be there. One that is not there
would speak for what stops: over little more than a day it bends a line as that does.
"""


def evidence_of_growth(values: Floats, shapes: Shapes, ceiling: Floats, *, rhythm: bool) -> Floats:
    """
    By how many nats growth explains `values` (rows, blocks) better than the best bounded rival; (rows,).

    A rival counts that stops below its row's `ceiling` in bytes. `rhythm` says whether that of the days is in
    `values`: they are spread over time, and no means of days.
    """
    y = fill_gaps(values)
    count = y.shape[1]
    u = np.linspace(0.0, 1.0, count)
    mean = y.mean(axis=1)
    free = _free(y, shapes.span, rhythm=rhythm)
    moves = _beyond(free, y[:, None, :])[:, 0]
    total = np.einsum("rc,rc->r", moves, moves)
    grows = _errors(moves, total, free, _growing(u))[0].min(axis=1)
    best = _daily_limb(y - mean[:, None], mean, shapes.span, ceiling)
    for family, end in _bounded(u):
        errors, scale = _errors(moves, total, free, family)
        top = mean[:, None] + scale * (end - family.mean(axis=1))
        best = np.minimum(best, np.where(top < ceiling[:, None], errors, np.inf).min(axis=1))
    worth = effective_sample_size(_off_the_line(moves, free))
    noise = count * (0.0015 * mean) ** 2
    return np.asarray(0.5 * worth * np.log((best + noise) / (grows + noise)))


def _free(y: Floats, spans: Floats, *, rhythm: bool) -> Floats:
    """
    Orthonormal columns of what both sides have for free; shape (rows, count, 3).

    A level, and the rhythm of days where growth outlived one and clearly has it; zeros elsewhere.
    """
    count = y.shape[1]
    free = np.zeros((*y.shape, 3))
    free[:, :, 0] = count**-0.5
    rows = np.flatnonzero(rhythm & (spans >= DAY_OUTLIVED) & (FEWEST_A_DAY * spans <= count * DAY))
    angle = 2 * np.pi * spans[rows, None] * (np.arange(count) / count) / DAY
    daily = np.linalg.qr(np.stack([np.ones_like(angle), np.sin(angle), np.cos(angle)], axis=2))[0]
    without = np.square(without_trend(y[rows])).sum(axis=1)
    beside = np.square(_off_the_line(_beyond(daily, y[rows, None, :])[:, 0], daily)).sum(axis=1)
    shows = without >= RHYTHM_SHOWS * beside
    free[rows[shows]] = daily[shows]
    return free


def _off_the_line(moves: Floats, free: Floats) -> Floats:
    """What is left of `moves` (rows, count) when the best line is taken away, beside what is free."""
    count = moves.shape[1]
    line = _beyond(free, np.broadcast_to(np.linspace(0.0, 1.0, count), (len(moves), 1, count)))[:, 0]
    slope = np.einsum("rc,rc->r", moves, line) / np.einsum("rc,rc->r", line, line)
    return np.asarray(moves - slope[:, None] * line)


def _beyond(free: Floats, functions: Floats) -> Floats:
    """What `functions` (rows or 1, functions, count) are beside what is free; (rows, functions, count)."""
    return np.asarray(functions - (functions @ free) @ free.transpose(0, 2, 1))


def _errors(moves: Floats, total: Floats, free: Floats, family: Floats) -> tuple[Floats, Floats]:
    """Squared error and scale of the best fit with c >= 0 of each function; shapes (rows, functions)."""
    shape = _beyond(free, family[None])
    power = np.einsum("rfc,rfc->rf", shape, shape)
    scale = np.maximum(np.einsum("rc,rfc->rf", moves, shape) / power, 0.0)
    return total[:, None] - scale * scale * power, scale


def _growing(u: Floats) -> Floats:
    return np.stack(
        [u, np.sqrt(u), u**0.75, u * u, np.expm1(2 * u), np.expm1(4 * u)]
        + [np.maximum(u - late, 0) for late in (0.2, 0.4)]
    )


def _bounded(u: Floats) -> tuple[tuple[Floats, Floats], ...]:
    taus = np.array([0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.3])
    saturating = 1 - np.exp(-u / taus[:, None])
    scales = np.array([0.003, 0.02, 0.1])
    logarithmic = np.log1p(u / scales[:, None])
    middles, widths = np.array([0.3, 0.5, 0.7, 0.5]), np.array([0.12, 0.12, 0.12, 0.2])
    logistic = 1 / (1 + np.exp(-(u - middles[:, None]) / widths[:, None]))
    return (
        (saturating, np.ones(len(taus))),
        (logarithmic, np.log1p(4 / scales)),
        (logistic, np.ones(len(middles))),
    )


def _daily_limb(centred: Floats, mean: Floats, span: Floats, ceiling: Floats) -> Floats:
    """Error of the best daily sine that keeps between a fifth of the mean and the ceiling, or inf."""
    angle = 2 * np.pi * span[:, None] * np.linspace(0.0, 1.0, centred.shape[1]) / DAY
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
        fits = (base + amplitude < ceiling) & (base - amplitude > 0.2 * mean) & (span < 1.6 * DAY)
    return np.asarray(np.where(fits & np.isfinite(error), error, np.inf))
