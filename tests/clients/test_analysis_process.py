"""The diagnosis in a process of its own: it answers, or ends within its limits with a reason."""

import gzip
import time
import tracemalloc

import pytest

from controller.clients.analysis_process import (
    AnalysisFailed,
    AnalysisFailure,
    AnalysisLimits,
    analyse_in_child,
)
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from tests.evidence.profile_builder import MEBIBYTE, heap_profile

BASE = heap_profile().heap("main.store", "main.handle", inuse=4 * MEBIBYTE).gzipped()
NOW = heap_profile().heap("main.store", "main.handle", inuse=40 * MEBIBYTE).gzipped()


def failed(evidence: Evidence, limits: AnalysisLimits | None = None) -> AnalysisFailed:
    answer = analyse_in_child(evidence, limits)
    assert isinstance(answer, AnalysisFailed)
    return answer


def test_the_child_says_what_the_parent_would():
    evidence = Evidence(heap=NOW, heap_baseline=BASE)
    answer = analyse_in_child(evidence)
    assert isinstance(answer, Diagnosis)
    assert answer.retainers[0].function == "main.store"
    assert answer.answers == diagnose(evidence).answers


def test_a_rejected_profile_names_the_reason():
    answer = failed(Evidence(heap=b"<html>"))
    assert answer.reason is AnalysisFailure.REJECTED
    assert answer.message.startswith("NotAProfile: ")


def test_a_gzip_bomb_ends_with_a_reason():
    bomb = gzip.compress(bytes(1 << 30), 9)
    assert len(bomb) < 2 * MEBIBYTE
    answer = failed(Evidence(heap=bomb))
    assert answer.message.startswith("DecompressesTooLarge: ")


def test_a_million_samples_end_with_a_reason():
    one = heap_profile().heap("main.f", inuse=1024)
    sample = one.message.sample[0].SerializeToString()
    head = one.message
    head.ClearField("sample")
    field = b"\x12" + bytes([len(sample)]) + sample  # tag 2, length-delimited: Profile.sample
    begin = time.monotonic()
    answer = failed(Evidence(heap=head.SerializeToString() + field * 1_000_000))
    assert answer.message.startswith("TooManySamples: ")
    assert time.monotonic() - begin < 20


def test_memory_beyond_the_limit_is_the_childs_problem():
    large = heap_profile().heap("main.store", inuse=MEBIBYTE)
    large.message.string_table.append("x" * (100 * MEBIBYTE))  # allowed by size, too much for this limit
    answer = failed(Evidence(heap=large.gzipped()), AnalysisLimits(address_space_bytes=16 << 20))
    assert answer.reason in (AnalysisFailure.OUT_OF_MEMORY, AnalysisFailure.CRASHED)


def test_files_are_handed_over_without_a_copy_of_each():
    """A replica chooses how large they are: what they need is multiplied nowhere in the controller."""
    large = bytes(32 * MEBIBYTE)
    tracemalloc.start()
    try:
        answer = failed(Evidence(heap=large, heap_baseline=large, goroutines=large))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.reason is AnalysisFailure.REJECTED
    assert peak < 8 * MEBIBYTE


def test_time_beyond_the_limit_ends_the_child():
    begin = time.monotonic()
    answer = failed(Evidence(heap=NOW), AnalysisLimits(seconds=0.05))
    assert answer.reason is AnalysisFailure.TIMED_OUT
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("name", ["PROMETHEUS_TOKEN", "AWS_SECRET_ACCESS_KEY"])
def test_the_child_inherits_no_environment(name: str, monkeypatch: pytest.MonkeyPatch):
    seen: list[dict[str, str]] = []
    monkeypatch.setenv(name, "secret")
    run = __import__("subprocess").run

    def watched(*arguments, **options):
        seen.append(options["env"])
        return run(*arguments, **options)

    monkeypatch.setattr("controller.clients.analysis_process.subprocess.run", watched)
    assert isinstance(analyse_in_child(Evidence(heap=NOW)), Diagnosis)
    assert name not in seen[0]
