"""
Real programs, each with one leak (or none): the diagnosis names its cause, its function and its share.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from controller.detection.assessment import GrowthClass
from controller.evidence.diagnosis import Evidence, diagnose
from tests.leakapps.leaks import LEAKS, SHARE_TOLERANCE, Leak, diagnosed, observed, shares_of
from tests.leakapps.program import running

pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs the Go toolchain"),
]


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.program)
def test_a_leak_is_named_by_its_cause_its_function_and_its_share(leak: Leak):
    diagnosis, first, second = observed(leak.program, leak.warm, leak.units)
    assert [each.cause.id for each in diagnosis.causes] == [leak.cause]
    assert diagnosis.causes[0].function == leak.culprit
    assert diagnosis.growth_class is leak.growth_class
    assert diagnosis.retainers[0].function in leak.holders
    assert diagnosis.answers.can_memory_be_freed_by_hand is False
    assert shares_of(leak, diagnosis, first, second).error <= SHARE_TOLERANCE
    heap_growth = second.heap_alloc_bytes - first.heap_alloc_bytes
    assert diagnosis.growth_bytes == pytest.approx(
        heap_growth, abs=1.3 * diagnosis.plus_minus_bytes + (2 << 20)
    )
    assert diagnosis.explained_share >= 1 - SHARE_TOLERANCE


@pytest.mark.parametrize(
    ("program", "warm", "units"),
    [
        pytest.param("churn", 200, 5000, id="encrypts and encodes and keeps nothing"),
        pytest.param("warmcache", 500, 9000, id="a cache that reaches its bound"),
        pytest.param("flatheap", 100, 10000, id="a large table that is only read"),
        pytest.param("lazytable", 100, 20000, id="a large table that is loaded at its first use"),
    ],
)
def test_no_cause_is_named_for_an_innocent_program(program: str, warm: int, units: int):
    diagnosis, _, _ = observed(program, warm, units)
    assert diagnosis.causes == ()


def test_encryption_and_json_are_listed_as_churn_and_cleared():
    diagnosis, _, _ = observed("churn", 200, 5000)
    assert diagnosis.growth_class is GrowthClass.UNKNOWN
    assert {"main.EncryptData", "encoding/json.Marshal"} <= {each.function for each in diagnosis.churn}
    assert {"main.EncryptData", "encoding/json.Marshal"} <= set(diagnosis.answers.suspects_cleared)
    assert diagnosis.answers.right_direction is False


def test_native_memory_is_told_from_the_go_heap():
    diagnosis, _, _ = observed("nativecgo", 50, 1500)
    assert diagnosis.growth_class is GrowthClass.NATIVE
    assert [each.cause.id for each in diagnosis.causes] == ["native-memory"]
    assert diagnosis.retainers == ()
    assert diagnosis.answers.can_memory_be_freed_by_hand is False


def test_a_large_heap_without_baseline_is_not_called_a_leak():
    with running("flatheap") as app:
        only = app.work(100)
    diagnosis = diagnose(Evidence(heap=only.files["heap"], memstats=only.files["memory"]))
    assert diagnosis.causes == ()
    assert diagnosis.confidence <= 0.5
    assert diagnosis.retainers[0].function == "main.load"
    assert any("no baseline" in each for each in diagnosis.warnings)


def test_a_profile_between_clears_a_cache_that_has_filled():
    """Nothing is evicted here, so that two profiles alone could not tell it from a leak."""
    with running("keyspacecache") as app:
        first, between, last = app.work(4000), app.work(16000), app.work(40000)
    evidence = Evidence(
        heap=last.files["heap"], heap_baseline=first.files["heap"], heap_between=between.files["heap"]
    )
    diagnosis = diagnose(evidence)
    assert diagnosis.retainers[0].function == "main.render"
    assert diagnosis.causes == ()
    assert any("cache filling up" in each for each in diagnosis.warnings)


def test_a_profile_between_does_not_clear_a_leak():
    with running("mapcache") as app:
        first, between, last = app.work(4000), app.work(20000), app.work(20000)
    diagnosis = diagnose(
        Evidence(
            heap=last.files["heap"], heap_baseline=first.files["heap"], heap_between=between.files["heap"]
        )
    )
    assert [each.cause.id for each in diagnosis.causes] == ["unbounded-map-or-cache"]


def test_goroutines_that_the_collector_proves_leaked_need_no_baseline():
    with running("chansend", GOEXPERIMENT="goroutineleakprofile") as app:
        only = app.work(300)
    assert "goroutineleak" in only.files
    diagnosis = diagnose(Evidence(heap=only.files["heap"], goroutineleak=only.files["goroutineleak"]))
    assert [each.cause.id for each in diagnosis.causes] == ["goroutine-blocked-on-channel-send"]
    assert diagnosis.causes[0].confidence > 0.95


def test_captured_files_open_in_gos_own_tool_and_agree_with_it(tmp_path: Path):
    with running("mapcache") as app:
        first, second = app.work(1000), app.work(30000)
    base, now = tmp_path / "base.pb.gz", tmp_path / "now.pb.gz"
    base.write_bytes(first.files["heap"])
    now.write_bytes(second.files["heap"])
    command = [
        "go",
        "tool",
        "pprof",
        "-top",
        "-unit=B",
        "-sample_index=inuse_space",
        f"-diff_base={base}",
        str(now),
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    line = next(each for each in told.splitlines() if each.endswith("main.(*renderCache).page"))
    theirs = float(line.split()[0].removesuffix("B"))
    ours = diagnosed(first, second).retainers[0]
    assert ours.function == "main.(*renderCache).page"
    assert ours.delta_bytes == pytest.approx(theirs, rel=1e-6)
