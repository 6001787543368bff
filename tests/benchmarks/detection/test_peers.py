"""The ports say what the rules they port say."""

import numpy as np
import pytest

from tests.benchmarks.detection import calibration
from tests.benchmarks.detection.detector import LEAKING, PerContainer, looks
from tests.benchmarks.detection.peers import ALL
from tests.benchmarks.detection.peers.mann_kendall import score_of, variance_factor
from tests.benchmarks.detection.peers.moving_line import fit
from tests.benchmarks.detection.recording import LIMIT, RSS, START, WORKING_SET, Recording

HOURS = 40
TIME = 60.0 * np.arange(HOURS * 60)
LIMIT_BYTES = 1e9


def _recording(share: np.ndarray) -> Recording:
    memory = share * LIMIT_BYTES
    series = {
        WORKING_SET: memory,
        RSS: memory,
        LIMIT: np.full(len(TIME), LIMIT_BYTES),
        START: np.full(len(TIME), -3600.0),
    }
    return Recording(namespace="n", pod="p", container="c", time=TIME, series=series)


def _first(peer: PerContainer, recording: Recording) -> float | None:
    said = peer.run([recording])[recording.key]
    return next((t.at / 3600 for t in said if t.verdict == LEAKING), None)


NOISE = 0.002 * np.random.default_rng(0).normal(size=len(TIME))
FLAT = _recording(0.3 + NOISE)
RAMP = _recording(np.clip(0.2 + 0.02 * TIME / 3600 + NOISE, 0, 0.99))
STEEP = _recording(np.clip(0.1 + 0.09 * np.maximum(TIME / 3600 - 20, 0) + NOISE, 0, 0.99))


@pytest.mark.parametrize("peer", [p for p in ALL if "mann" not in p.name], ids=lambda p: p.name)
def test_no_peer_says_leaking_of_flat_noise(peer: PerContainer) -> None:
    assert _first(peer, FLAT) is None


@pytest.mark.parametrize(
    ("name", "earliest", "latest"),
    [
        pytest.param("threshold-0.65", 22.4, 23, id="threshold at 0.65 after 22.5 h"),
        pytest.param("predict-linear-6h", 16, 17.5, id="24 h ahead at 0.52 after 16 h"),
        pytest.param("r2-eta", 1, 3, id="a straight line within 7 days at once"),
        pytest.param("mann-kendall", 4, 6, id="a trend in the first hours"),
        pytest.param("precog-mf", 10, 16, id="precog above 40 percent"),
        pytest.param("anytime", 4, 24, id="the first prototype before the threshold"),
        pytest.param("rivals", 4, 26, id="the second prototype near it"),
    ],
)
def test_a_ramp_is_told_when_the_rule_says(name: str, earliest: float, latest: float) -> None:
    peer = next(p for p in ALL if p.name == name)
    assert earliest <= (_first(peer, RAMP) or -1) <= latest


def test_coroot_sees_nine_percent_an_hour_and_not_two() -> None:
    coroot = next(p for p in ALL if p.name == "coroot")
    assert _first(coroot, RAMP) is None
    assert 20 < (_first(coroot, STEEP) or -1) < 30


def test_moving_lines_are_numpy_s_lines() -> None:
    rng = np.random.default_rng(1)
    values = 1e8 + rng.normal(0, 1e6, 500).cumsum()
    time = 1_772_409_600 + 60.0 * np.arange(500)
    lines = fit(time, values, np.array([time[99], time[0] - 1]), np.array([time[300], time[-1]]))
    for i, part in enumerate((slice(100, 301), slice(0, 500))):
        slope, start = np.polyfit(time[part] - time[part][-1], values[part], 1)
        correlation = np.corrcoef(time[part], values[part])[0, 1]
        assert lines.slope[i] == pytest.approx(slope, rel=1e-6)
        assert lines.end_value[i] == pytest.approx(start, rel=1e-9)
        assert lines.r_squared[i] == pytest.approx(correlation**2, rel=1e-6)


def test_mann_kendall_of_a_known_series() -> None:
    y = np.arange(20.0)
    assert score_of(y, 1.0) == pytest.approx((190 - 1) / np.sqrt(20 * 19 * 45 / 18))
    assert score_of(np.ones(20), 1.0) == 0.0


def test_hamed_and_rao_widen_the_variance_of_autocorrelated_noise() -> None:
    assert variance_factor(calibration.series(0.9, 1)[0]) > 2


def test_autocorrelation_fools_mann_kendall_most() -> None:
    rows, tests = calibration.series(0.95, 100), calibration.tests()
    assert tests["mann-kendall"](rows).sum() > tests["mann-kendall-hr"](rows).sum() > 5


def test_calibration_noise_has_unit_variance_and_its_correlation() -> None:
    rows = calibration.series(0.8, 2000)
    assert rows.std() == pytest.approx(1, abs=0.03)
    assert np.mean(rows[:, 1:] * rows[:, :-1]) == pytest.approx(0.8, abs=0.03)


def test_looks_lie_on_the_grid_and_end_with_the_container() -> None:
    now = looks(FLAT, 600.0)
    assert np.all(now % 600 == 0)
    assert TIME[-1] <= now[-1] + 600
    assert now[-1] < TIME[-1] + 600
