"""How a healthy container is drawn: a shape between a floor and a peak, near the line if hostile."""

from typing import Any

import numpy as np

from tests.benchmarks.detection.recording import Recording
from tests.benchmarks.detection.scene import Scene, Values

NORMAL_PEAK = (0.12, 0.58)
HOSTILE_PEAK = (0.60, 0.85)


def bounded(
    scene: Scene,
    shape: Values,
    *,
    starts: list[float] | None = None,
    growing: tuple[float, float] | None = None,
    **recorded: Any,
) -> Recording:
    """Record `shape` (n,), stretched so that it ends at a drawn peak; `growing` is its part of the peak,
    from..to.

    In the hostile variant the peak lies at 0.60..0.85 of the limit and more of it is growth.
    """
    peak = scene.between(*(HOSTILE_PEAK if scene.hostile else NORMAL_PEAK))
    part = scene.between(*(growing or ((0.3, 0.75) if scene.hostile else (0.1, 0.7))))
    starts = starts if starts is not None else [-scene.between(1, 200, log=True)]
    age, _ = scene.age(starts)
    alive = np.isfinite(age)
    low, high = shape[alive].min(), shape[alive].max()
    unit = (shape - low) / (high - low) if high > low else np.zeros_like(shape)
    level = (1 - part + part * unit) * (1 + scene.texture())
    return scene.record(peak * level / level[alive].max(), starts=starts, **recorded)
