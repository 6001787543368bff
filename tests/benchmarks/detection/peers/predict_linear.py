"""The Prometheus folk rule: `predict_linear(container_memory_working_set_bytes[W], H) > limit`, `for:
15m`.
"""

import numpy as np

from tests.benchmarks.detection.detector import Says, working_set
from tests.benchmarks.detection.peers.moving_line import fit, held, latest
from tests.benchmarks.detection.recording import Recording, Values


def over(window_hours: float, horizon_hours: float) -> Says:
    """Build the rule for one window and horizon."""

    def says_leaking(recording: Recording, now: Values) -> np.ndarray:
        time, values, limit = working_set(recording)
        lines = fit(time, values, now - window_hours * 3600, now)
        predicted = lines.end_value + lines.slope * horizon_hours * 3600
        return held((predicted > latest(time, limit, now)) & (lines.count >= 2), 2)

    return says_leaking
