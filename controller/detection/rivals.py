"""
Explanations that stop by themselves, against growth that goes on.

Both sides are two-parameter fits y = a + c f(t) with c >= 0 to the same floors; a bounded one must stop
below the limit to count. The evidence is half the effective sample size times the logarithm of the ratio of
their squared errors (a difference of log-likelihoods, in nats).
"""

import numpy as np

from controller.detection.growth import Shapes, fill_gaps
from controller.detection.sensitivity import DAY
from controller.detection.timeline import Floats
from controller.detection.trend import effective_sample_size


def evidence_of_growth(values: Floats, shapes: Shapes, ceiling: Floats) -> Floats:
    """
    By how many nats growth explains `values` (rows, blocks) better than the best bounded rival; (rows,).

    A rival counts that stops below its row's `ceiling` in bytes.
    """
    y = fill_gaps(values)
    count = y.shape[1]
    u = np.linspace(0.0, 1.0, count)
    centred = y - y.mean(axis=1, keepdims=True)
    total = np.einsum("ij,ij->i", centred, centred)
    mean = y.mean(axis=1)
    growing, best = _errors(centred, total, _growing(u))[0], np.full(len(y), np.inf)
    grows = growing.min(axis=1)
    for family, end in _bounded(u):
        errors, scale = _errors(centred, total, family)
        top = mean[:, None] + scale * (end - family.mean(axis=1))
        best = np.minimum(best, np.where(top < ceiling[:, None], errors, np.inf).min(axis=1))
    best = np.minimum(best, _daily_limb(centred, total, mean, shapes.span, ceiling))
    line = centred - shapes.slope[:, None] * (shapes.span / count)[:, None] * (
        np.arange(count) - (count - 1) / 2
    )
    worth = effective_sample_size(line)
    noise = count * (0.0015 * mean) ** 2
    return np.asarray(0.5 * worth * np.log((best + noise) / (grows + noise)))


def _errors(centred: Floats, total: Floats, family: Floats) -> tuple[Floats, Floats]:
    """Squared error and scale of the best fit with c >= 0 of each function; shapes (rows, functions)."""
    shape = family - family.mean(axis=1, keepdims=True)
    power = np.einsum("ij,ij->i", shape, shape)
    scale = np.maximum(centred @ shape.T / power, 0.0)
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


def _daily_limb(centred: Floats, total: Floats, mean: Floats, span: Floats, ceiling: Floats) -> Floats:
    """Error of the best daily sine that keeps between a fifth of the mean and the ceiling, or inf."""
    angle = 2 * np.pi * span[:, None] * np.linspace(0.0, 1.0, centred.shape[1]) / DAY
    sine, cosine = np.sin(angle), np.cos(angle)
    sine_level, cosine_level = sine.mean(axis=1), cosine.mean(axis=1)
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
