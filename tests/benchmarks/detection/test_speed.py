"""The speed benchmark measures what it says."""

import numpy as np

from tests.benchmarks.detection import fleet, speed, straightforward


def test_the_fleet_is_mostly_flat_and_one_in_twenty_leaks() -> None:
    memory = fleet.fleet_memory(2000, 576)
    assert memory.dtype == np.float32
    grown = memory[:, 288:].mean(axis=1) - memory[:, :288].mean(axis=1)
    assert 0.03 < np.mean(grown > 0.01 * fleet.LIMIT_BYTES) < 0.07


def test_the_straightforward_way_asks_and_fits_each_pod() -> None:
    cpu, wall = straightforward.measure(2, 96)
    assert 0 < cpu < 5
    assert wall > 0


def test_a_sweep_is_measured_in_a_process_of_its_own() -> None:
    sweep = speed.measure(20)
    assert sweep.containers == 20
    assert sweep.sweep_seconds > 0
    assert sweep.sweep_peak_mebibytes >= sweep.held_mebibytes - 1
    assert sweep.misses(straightforward_seconds_per_pod=0.0)


def test_the_table_has_a_row_for_each_size() -> None:
    one = speed.Sweep(
        containers=10_000,
        fill_seconds=1.0,
        update_seconds=0.1,
        sweep_seconds=1.0,
        held_mebibytes=100.0,
        fill_peak_mebibytes=120.0,
        sweep_peak_mebibytes=150.0,
    )
    text = speed._text([one, one], 0.02, 0.05)
    assert text.count("10000") == 2
    assert "200" in text
    assert not one.misses(0.02)
    assert one.misses(0.004)
