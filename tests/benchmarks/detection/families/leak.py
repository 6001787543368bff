"""How a leaking container is drawn: base, bounded swing, unbounded gain, and death at the limit."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.detection.case import Case, grown
from tests.benchmarks.detection.labels import THRESHOLD
from tests.benchmarks.detection.recording import HEAP_INUSE
from tests.benchmarks.detection.scene import GoRuntime, Scene, Shape, Values

_MOST_LIVES = 12


def straight(u: Values) -> Values:
    """Grow by the same amount in every hour."""
    return u


def leaking(
    scene: Scene,
    *,
    duration: float,
    onset: float = 0.0,
    birth: float | None = None,
    shape: Shape = straight,
    base: float | None = None,
    swing: Values | float = 0.0,
    period: float = 24.0,
    explained: bool = False,
    survives: bool | None = None,
    gain: Values | None = None,
    go: Callable[[Values, Values], GoRuntime] | None = None,
    classes: tuple[str, ...] | None = None,
    **recorded: Any,
) -> Case:
    """Draw a container that leaks from `onset` hours after its birth and reaches the threshold
    `duration` later.

    `shape` maps time since onset / duration to gain / gain at the threshold. `gain` (n,) replaces it for
    leaks that follow something else than age (traffic); they live once. At the limit the container is
    killed: the record then goes on with its next life (`survives`) or ends. `go` makes the Go runtime's
    series from level and gain.
    """
    birth = (0.0 if scene.chance(0.6) else -scene.between(0, 0.15) * duration) if birth is None else birth
    base = scene.between(0.08, 0.42) if base is None else base
    swing = np.broadcast_to(np.asarray(swing, dtype=float), scene.hour.shape)
    warm = scene.between(0.05, 0.4)
    survives = scene.chance(0.4) if survives is None else survives
    texture = 1 + scene.texture()
    starts, ends = [birth], np.inf
    for _ in range(_MOST_LIVES):
        age, life = scene.age(starts)
        since = np.maximum(np.nan_to_num(age) - np.where(life == 0, onset, 0.0), 0) / duration
        grew = (THRESHOLD - base) * shape(since) if gain is None else gain
        level = (base * (1 - 0.3 * np.exp(-np.nan_to_num(age) / warm)) + swing + grew) * texture
        dead = np.flatnonzero((level > 0.985) & (life == len(starts) - 1))
        if not len(dead):
            break
        if not survives or gain is not None:
            ends = float(scene.hour[dead[0]])
            break
        starts.append(float(scene.hour[dead[0]]) + scene.step / 3600)
    runtime = go(level, grew) if go else None
    recording = scene.record(np.minimum(level, 0.99), starts=starts, ends=ends, go=runtime, **recorded)
    if classes is None:
        classes = ("heap",) if HEAP_INUSE in recording.series else ()
    return grown(
        scene,
        recording,
        grew,
        onset_hour=birth + onset,
        birth_hour=birth,
        swing=float(np.ptp(swing)),
        period_hours=period if np.ptp(swing) > 0 else 0.0,
        swing_is_explained=explained,
        classes=classes,
    )


def daily_swing(scene: Scene, low: float = 0.03, high: float = 0.2) -> tuple[Values, Values, bool]:
    """Return a load, memory that follows it in shares, and whether the load will be recorded."""
    load = scene.load()
    return load, scene.between(low, high) * load, scene.chance(0.6)
