"""Other people's rules, written anew from their descriptions, and the project's two research prototypes.

Each is given what favours it: merged series (no doubled sums), start times where its rule uses them, the
limit in force. Hourly ones are marked by `every_seconds`; all others look every ten minutes.
"""

from tests.benchmarks.detection.detector import PerContainer
from tests.benchmarks.detection.peers import (
    coroot,
    mann_kendall,
    precog,
    predict_linear,
    prototypes,
    straight_line,
    threshold,
)

ALL: tuple[PerContainer, ...] = (
    PerContainer(name="threshold-0.65", says=threshold.says_leaking),
    PerContainer(name="predict-linear-1h", says=predict_linear.over(1, 4)),
    PerContainer(name="predict-linear-6h", says=predict_linear.over(6, 24)),
    PerContainer(name="predict-linear-24h", says=predict_linear.over(24, 96)),
    PerContainer(name="mann-kendall", says=mann_kendall.plain, every_seconds=3600.0),
    PerContainer(name="mann-kendall-hr", says=mann_kendall.hamed_rao, every_seconds=3600.0),
    PerContainer(name="r2-eta", says=straight_line.says_leaking),
    PerContainer(name="precog-mf", says=precog.says_leaking, every_seconds=3600.0),
    PerContainer(name="coroot", says=coroot.says_leaking),
    PerContainer(name="anytime", says=prototypes.anytime_says, every_seconds=3600.0),
    PerContainer(name="rivals", says=prototypes.rivals_say, every_seconds=3600.0),
)
