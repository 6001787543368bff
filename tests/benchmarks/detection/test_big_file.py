"""A large recording is replayed in bounded memory, and its leaks are found."""

import pytest

from tests.benchmarks.detection import big_file


def _leaks(containers: int) -> set[str]:
    return {f"pod-{number}" for number in range(0, containers, big_file.LEAKING_EVERY)}


def test_a_file_is_replayed_and_its_leaks_are_found() -> None:
    took = big_file.measure(2)

    assert took.file_megabytes >= 2
    assert took.leaking == _leaks(took.containers)


@pytest.mark.long
def test_a_file_of_100_megabytes_is_replayed_in_bounded_memory() -> None:
    took = big_file.measure(big_file.MEGABYTES)

    assert took.file_megabytes >= big_file.MEGABYTES
    assert took.leaking == _leaks(took.containers)
    assert took.peak_mebibytes < 20 * took.file_megabytes
