"""
Real programs, each with one leak (or none): the diagnosis names its cause, its function and its share.

What the programs say about themselves is the truth that the profiles are held against.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.detection.assessment import GrowthClass
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.goroutines import GOROUTINE_STACKS
from tests.leakapps.program import Snapshot, running

pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs the Go toolchain"),
]
SHARE_TOLERANCE = 0.15


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What a program does and what must be said about it."""

    program: str
    warm: int
    units: int
    cause: str
    growth_class: GrowthClass
    holders: tuple[str, ...]
    """Functions that hold the memory the program counts; the first is the top retainer."""
    culprit: str
    """The function that the cause names."""


HEAP, GOROUTINE = GrowthClass.HEAP, GrowthClass.GOROUTINE
LEAKS = (
    Leak(
        program="bodynotclosed", warm=50, units=3000, cause="response-body-not-closed",
        growth_class=GOROUTINE,
        holders=("net/http.(*conn).serve", "net/http.(*Transport).dialConn"), culprit="main.fetchPrice",
    ),
    Leak(
        program="chansend", warm=100, units=15000, cause="goroutine-blocked-on-channel-send",
        growth_class=GOROUTINE, holders=("main.render",), culprit="main.renderWithin.func1",
    ),
    Leak(
        program="chanreceive", warm=100, units=25000, cause="goroutine-blocked-on-channel-receive",
        growth_class=GOROUTINE, holders=("main.subscribe",), culprit="main.(*subscriber).listen",
    ),
    Leak(
        program="selectforever", warm=100, units=25000, cause="goroutine-blocked-in-select",
        growth_class=GOROUTINE, holders=("main.openSession",), culprit="main.(*session).run",
    ),
    Leak(
        program="lockforever", warm=100, units=25000, cause="goroutine-blocked-on-lock",
        growth_class=GOROUTINE, holders=("main.main.func1.1",), culprit="main.(*ledger).post",
    ),
    Leak(
        program="ticker", warm=100, units=25000, cause="ticker-or-timer-not-stopped", growth_class=GOROUTINE,
        holders=("main.watch", "main.(*watcher).poll"), culprit="main.(*watcher).poll",
    ),
    Leak(
        program="timerheld", warm=1000, units=80000, cause="ticker-or-timer-not-stopped", growth_class=HEAP,
        holders=("main.place",), culprit="main.place",
    ),
    Leak(
        program="contextchild", warm=1000, units=400000, cause="context-not-cancelled", growth_class=HEAP,
        holders=("main.handle",), culprit="main.handle",
    ),
    Leak(
        program="mapcache", warm=1000, units=60000, cause="unbounded-map-or-cache", growth_class=HEAP,
        holders=("main.(*renderCache).page",), culprit="main.(*renderCache).page",
    ),
    Leak(
        program="gocache", warm=1000, units=40000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.loadProfile",), culprit="main.loadProfile",
    ),
    Leak(
        program="promlabels", warm=1000, units=120000, cause="metric-label-cardinality", growth_class=HEAP,
        holders=("main.countRequest",), culprit="main.countRequest",
    ),
    Leak(
        program="sqlrows", warm=50, units=3000, cause="rows-not-closed", growth_class=GOROUTINE,
        holders=("bilgepump.dev/leakapps/harness.connector.Connect",), culprit="main.firstID",
    ),
    Leak(
        program="sqlstmt", warm=1000, units=40000, cause="stmt-not-closed", growth_class=HEAP,
        holders=("bilgepump.dev/leakapps/harness.(*conn).Prepare", "main.lookUp"), culprit="main.lookUp",
    ),
    Leak(
        program="subslice", warm=10, units=300, cause="large-buffer-pinned", growth_class=HEAP,
        holders=("main.readUpload",), culprit="main.readUpload",
    ),
    Leak(
        program="requestglobal", warm=500, units=30000, cause="request-kept-by-global", growth_class=HEAP,
        holders=("main.main.func1",), culprit="main.main.func1",
    ),
    Leak(
        program="poolbuffers", warm=100, units=4000, cause="pool-buffers-grow", growth_class=HEAP,
        holders=("main.init.func1",), culprit="main.connect",
    ),
    Leak(
        program="appendforever", warm=10000, units=600000, cause="slice-append-forever", growth_class=HEAP,
        holders=("main.(*trail).record",), culprit="main.(*trail).record",
    ),
    Leak(
        program="connopen", warm=50, units=4000, cause="connection-left-open", growth_class=GOROUTINE,
        holders=("main.serveConnection",), culprit="main.serveConnection",
    ),
    Leak(
        program="sleeploop", warm=100, units=25000, cause="goroutine-never-ends", growth_class=GOROUTINE,
        holders=("main.reconnect",), culprit="main.heartbeat",
    ),
    Leak(
        program="clientpercall", warm=50, units=2000, cause="client-per-call", growth_class=GOROUTINE,
        holders=("net/http.(*Transport).dialConn", "net/http.(*conn).serve"), culprit="main.callBilling",
    ),
    Leak(
        program="notimeout", warm=50, units=4000, cause="call-without-timeout", growth_class=GOROUTINE,
        holders=("net/http.(*Transport).dialConn", "main.refresh"), culprit="main.refresh",
    ),
    Leak(
        program="contextchain", warm=1000, units=300000, cause="context-chain-grows", growth_class=HEAP,
        holders=("main.(*worker).step",), culprit="main.(*worker).step",
    ),
    Leak(
        program="groupcache", warm=1000, units=15000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.render", "main.(*pages).get"), culprit="main.(*pages).get",
    ),
    Leak(
        program="lrutoolarge", warm=1000, units=15000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.quoteFor",), culprit="main.quoteFor",
    ),
    Leak(
        program="ttlworker", warm=100, units=15000, cause="client-per-call", growth_class=GOROUTINE,
        holders=(
            "main.(*service).lookUp",
            "github.com/jellydator/ttlcache/v3.(*Cache[go.shape.string,go.shape.string]).Start",
        ),
        culprit="main.(*service).lookUp",
    ),
    Leak(
        program="templateset", warm=500, units=8000, cause="registered-again-and-again", growth_class=HEAP,
        holders=("main.letter",), culprit="main.letter",
    ),
    Leak(
        program="poolexhausted", warm=100, units=8000, cause="rows-not-closed", growth_class=GOROUTINE,
        holders=("main.handle", "main.(*repository).exists"), culprit="main.(*repository).exists",
    ),
)  # fmt: skip


def diagnosed(first: Snapshot, second: Snapshot) -> Diagnosis:
    return diagnose(
        Evidence(
            heap=second.files["heap"],
            heap_baseline=first.files["heap"],
            goroutines=second.files["goroutine"],
            goroutines_baseline=first.files["goroutine"],
            goroutineleak=second.files.get("goroutineleak"),
            memstats=second.files["memory"],
            rss_bytes=second.rss_bytes,
            limit_bytes=512 << 20,
        )
    )


def observed(program: str, warm: int, units: int, **environment: str) -> tuple[Diagnosis, Snapshot, Snapshot]:
    with running(program, **environment) as app:
        first, second = app.work(warm), app.work(units)
    return diagnosed(first, second), first, second


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.program)
def test_a_leak_is_named_by_its_cause_its_function_and_its_share(leak: Leak):
    diagnosis, first, second = observed(leak.program, leak.warm, leak.units)
    assert [each.cause.id for each in diagnosis.causes] == [leak.cause]
    assert diagnosis.causes[0].function == leak.culprit
    assert diagnosis.growth_class is leak.growth_class
    assert diagnosis.retainers[0].function in leak.holders
    assert diagnosis.answers.can_memory_be_freed_by_hand is False
    heap_growth = second.heap_alloc_bytes - first.heap_alloc_bytes
    on_heap = [each for each in diagnosis.retainers if each.allocator != GOROUTINE_STACKS]
    stacks = second.stack_inuse_bytes - first.stack_inuse_bytes
    whole = heap_growth + (stacks if len(on_heap) < len(diagnosis.retainers) else 0)
    counted = (second.retained_bytes - first.retained_bytes) / whole
    named = sum(each.share for each in on_heap if each.function in leak.holders)
    assert named == pytest.approx(min(counted, 1.0), abs=SHARE_TOLERANCE)
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
