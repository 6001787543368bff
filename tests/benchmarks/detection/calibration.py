"""How often a slope test calls trend-free noise a trend: AR(1), 96 blocks, nominal 1 % one-sided."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from tests.benchmarks.detection.peers.mann_kendall import Z_ONE_PERCENT, score_of, variance_factor
from tests.benchmarks.detection.score import Rate

PHIS = (0.0, 0.5, 0.8, 0.9, 0.95)
BLOCKS = 96
BLOCK_SECONDS = 900.0
SEED = 100_000

Rises = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


def series(phi: float, count: int, seed: int = SEED) -> NDArray[np.float64]:
    """Trend-free AR(1) rows (count, 96) of unit variance."""
    rng = np.random.default_rng([seed, int(phi * 100)])
    shocks = rng.normal(0, np.sqrt(1 - phi**2), (count, BLOCKS))
    shocks[:, 0] = rng.normal(0, 1, count)
    return lfilter([1.0], [1.0, -phi], shocks, axis=1)


def false_rates(rises: Rises, count: int = 2000) -> dict[float, Rate]:
    """For each phi: how many rows the test says rise. `rises` maps (n, 96) to (n,) 'lower bound above
    zero'.
    """
    return {phi: Rate(hits=int(np.sum(rises(series(phi, count)))), of=count) for phi in PHIS}


def tests() -> Mapping[str, Rises]:
    """The project's slope test (lower end of its interval above zero at 1 %) and the two the peers use."""
    return {"ours": _ours, "mann-kendall": _mann_kendall, "mann-kendall-hr": _hamed_rao}


def _ours(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    from controller.detection.trend import slope_interval  # what is judged, not what judges

    slopes = slope_interval(1e8 + 1e6 * rows, np.full(len(rows), BLOCK_SECONDS), Z_ONE_PERCENT)
    return np.asarray(slopes.low > 0)


def _mann_kendall(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.array([score_of(row, 1.0) > Z_ONE_PERCENT for row in rows])


def _hamed_rao(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.array([score_of(row, variance_factor(row)) > Z_ONE_PERCENT for row in rows])


def table(names: Sequence[str] = ("ours", "mann-kendall", "mann-kendall-hr")) -> dict[str, dict[float, Rate]]:
    """False rates of the named tests; the peers' on fewer rows, since they are slow."""
    return {name: false_rates(tests()[name], 2000 if name == "ours" else 400) for name in names}
