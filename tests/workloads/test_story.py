"""The demo's Go programs do to memory what they are there for, and profiles name who did it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import find_peaks

from tests.workloads.story import Role, build_story, get, running, until

pytestmark = pytest.mark.go

MIB = 2**20
RUN_SECONDS = 15.0
SETTLED_SECONDS = 4.0
SAMPLE_SECONDS = 0.1
IN_FLIGHT_MB = 1.5
"""The load goes on while the profile is taken: the few requests at work hold less than this."""
RPS = 120
# A small catalogue and large leaks: minutes of the demo in seconds.
# Sampled every 512 KiB, as is the default, the few MiB of these seconds would be a handful of samples.
FAST_LEAKS = {
    "CATALOGUE_BYTES": str(2 * MIB),
    "SESSION_BYTES": "12288",
    "LEAK_BODIES_EVERY": "3",
    "GODEBUG": "memprofilerate=16384",
}


@pytest.fixture(scope="module")
def binary() -> Path:
    return build_story()


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was measured while all roles ran side by side: memory by role, time since the load began."""

    seconds: np.ndarray
    mebibytes: dict[str, np.ndarray]
    memory: dict[str, dict]
    load_lines: list[dict]
    profiles: Path


@pytest.fixture(scope="module")
def run(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    profiles = tmp_path_factory.mktemp("profiles")
    with ExitStack() as stack:
        upstream = stack.enter_context(running(binary, "upstream"))
        leaks = {**FAST_LEAKS, "PRICING_URL": upstream.url}
        roles = {
            "api": stack.enter_context(running(binary, "api", leaks)),
            "twin": stack.enter_context(running(binary, "api", {**leaks, "LEAKS": "false"})),
            "sawtooth": stack.enter_context(running(binary, "sawtooth", {"PERIOD": "4s"})),
            "steady": stack.enter_context(running(binary, "steady")),
            "warmup": stack.enter_context(running(binary, "warmup", {"WARM": "5s"})),
        }
        _capture(roles["api"], profiles, "base")
        loads = [stack.enter_context(_load(binary, roles[name])) for name in ("api", "twin")]
        seconds, samples = _sample(roles)
        _capture(roles["api"], profiles, "late")
        memory = {name: json.loads(get(f"{role.debug_url}/debug/memory")) for name, role in roles.items()}
        outputs = [load.communicate(timeout=20)[0] for load in loads]
    lines = [json.loads(line) for line in outputs[0].splitlines()]
    mebibytes = {name: np.array(values) / MIB for name, values in samples.items()}
    return Run(
        seconds=np.array(seconds), mebibytes=mebibytes, memory=memory, load_lines=lines, profiles=profiles
    )


def _load(binary: Path, role: Role) -> subprocess.Popen[str]:
    settings = {"TARGET": role.url, "RPS": str(RPS), "DURATION": f"{RUN_SECONDS + 1}s"}
    return subprocess.Popen([str(binary), "load"], env=settings, text=True, stdout=subprocess.PIPE)


def _sample(roles: dict[str, Role]) -> tuple[list[float], dict[str, list[int]]]:
    start = time.monotonic()
    seconds: list[float] = []
    samples: dict[str, list[int]] = {name: [] for name in roles}
    while (elapsed := time.monotonic() - start) < RUN_SECONDS:
        seconds.append(elapsed)
        for name, role in roles.items():
            samples[name].append(role.anonymous_bytes())
        time.sleep(SAMPLE_SECONDS)
    return seconds, samples


def _capture(role: Role, folder: Path, name: str) -> None:
    for kind in ("heap", "goroutine"):
        (folder / f"{name}-{kind}.pb.gz").write_bytes(get(f"{role.debug_url}/debug/pprof/{kind}?gc=1"))


def _top(*arguments: str) -> list[tuple[float, float, str]]:
    """Rows of ``go tool pprof -top`` as (flat, cumulative, function), in MB or numbers."""
    command = ["go", "tool", "pprof", "-top", "-unit=MB", "-nodefraction=0", *arguments]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table = text.split("flat%", 1)[1].splitlines()[1:]
    cells = [line.split(None, 5) for line in table if line.strip()]
    return [(_number(row[0]), _number(row[3]), row[5].removesuffix(" (inline)")) for row in cells]


def _number(cell: str) -> float:
    return float(cell.removesuffix("MB"))


def test_the_go_tests_pass() -> None:
    tested = subprocess.run(
        ["go", "test", "-timeout=60s", "./..."],
        cwd=Path(__file__).parents[1] / "leakapps" / "story",
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_memory_of_the_leaking_service_climbs_in_a_straight_line(run: Run) -> None:
    settled = run.seconds >= SETTLED_SECONDS
    seconds, mebibytes = run.seconds[settled], run.mebibytes["api"][settled]
    straightness = np.corrcoef(seconds, mebibytes)[0, 1] ** 2
    middle = len(seconds) // 2
    early = np.polyfit(seconds[:middle], mebibytes[:middle], 1)[0]
    late = np.polyfit(seconds[middle:], mebibytes[middle:], 1)[0]
    assert mebibytes[-1] - mebibytes[0] > 20
    assert straightness > 0.95
    assert 0.5 < late / early < 2


def test_its_healthy_twin_stays_flat_under_the_same_load(run: Run) -> None:
    settled = run.seconds >= SETTLED_SECONDS
    growth = {name: np.ptp(run.mebibytes[name][settled]) for name in ("api", "twin")}
    assert growth["twin"] < 0.15 * growth["api"]
    assert run.memory["twin"]["goroutines"] < 60 < run.memory["api"]["goroutines"]


def test_growth_is_named_after_the_session_store_and_the_forgotten_connections(run: Run) -> None:
    base, late = run.profiles / "base-heap.pb.gz", run.profiles / "late-heap.pb.gz"
    rows = _top("-inuse_space", f"-diff_base={base}", str(late))
    grown = {function: (flat, cumulative) for flat, cumulative, function in rows}
    assert rows[0][2] == "story/internal/session.(*Store).Remember"
    assert {"bufio.NewReaderSize", "bufio.NewWriterSize"} & {row[2] for row in rows[:4]}
    assert grown["net/http.(*Transport).dialConn"][1] > 3
    assert grown["story/internal/pricing.(*Client).FetchQuote"][1] > 0
    assert grown.get("story/internal/encryption.EncryptDatas", (0, 0))[1] < IN_FLIGHT_MB


def test_churn_is_named_after_encryption_and_json(run: Run) -> None:
    rows = _top("-alloc_space", str(run.profiles / "late-heap.pb.gz"))
    assert {row[2] for row in rows[:2]} == {"encoding/json.Marshal", "story/internal/encryption.EncryptDatas"}


def test_every_forgotten_body_leaves_a_read_loop_and_a_write_loop(run: Run) -> None:
    counts = {function: total for _, total, function in _top(str(run.profiles / "late-goroutine.pb.gz"))}
    forgotten = RUN_SECONDS * RPS / int(FAST_LEAKS["LEAK_BODIES_EVERY"])
    for loop in ("readLoop", "writeLoop"):
        assert counts[f"net/http.(*persistConn).{loop}"] == pytest.approx(forgotten, rel=0.2)


def test_the_cache_fills_and_stays(run: Run) -> None:
    mebibytes = run.mebibytes["warmup"]
    full = run.seconds >= 8
    assert mebibytes[full].min() > 40
    assert mebibytes[run.seconds < 1].min() < 0.5 * mebibytes[full].min()
    assert np.ptp(mebibytes[full]) < 0.15 * mebibytes[full].max()


def test_the_sawtooth_gives_its_garbage_back_again_and_again(run: Run) -> None:
    """From top to bottom, however many samples the release is spread over."""
    share = run.mebibytes["sawtooth"] / 128
    tops, _ = find_peaks(share, prominence=0.15)
    bottoms, _ = find_peaks(-share, prominence=0.15)
    assert len(tops) >= 2
    assert share[tops].min() > 0.55
    assert share[bottoms].max() < 0.45
    assert share.max() < 0.7


def test_the_steady_service_is_flat(run: Run) -> None:
    """Of its limit: on a busy machine the collector is late, and Go keeps the few MiB it took meanwhile."""
    settled = run.mebibytes["steady"][run.seconds >= SETTLED_SECONDS] / 128
    assert np.ptp(settled) < 0.1


def test_the_load_is_as_ordered_and_nothing_failed(run: Run) -> None:
    *by_second, summary = run.load_lines
    assert summary["summary"] is True
    assert summary["failed_total"] == 0
    assert summary["sent"] + summary["skipped"] == pytest.approx(RPS * (RUN_SECONDS + 1), rel=0.02)
    assert summary["skipped"] < 0.1 * summary["sent"]
    assert len(by_second) == pytest.approx(RUN_SECONDS + 1, abs=2)
    assert sum(line["ok"] for line in by_second) <= summary["ok"] == summary["sent"]
    assert 0 < summary["p50_seconds"] <= summary["p99_seconds"] < 5


def test_what_the_process_says_of_its_memory_is_in_memstats_and_metrics(run: Run) -> None:
    told = run.memory["api"]
    assert told["memstats"]["HeapInuse"] > told["heap_live_bytes"] > 10 * MIB
    assert told["gogc_percent"] == 100
    assert told["gomemlimit_bytes"] == 2**63 - 1


@pytest.fixture(scope="module")
def one_of_three(binary: Path) -> Iterator[dict[str, Role]]:
    with ExitStack() as stack:
        settings = {"LEAK_PODS": "-1$", "DRAIN_DELAY": "1s"}
        yield {
            name: stack.enter_context(running(binary, "replicaleak", {**settings, "POD_NAME": name}))
            for name in ("basket-0", "basket-1")
        }


def _leaking(role: Role, *, switch: str | None = None) -> bool:
    if switch is None:
        return bool(json.loads(get(f"{role.debug_url}/debug/leak"))["leaking"])
    return bool(json.loads(get(f"{role.debug_url}/debug/leak/{switch}", method="POST"))["leaking"])


def test_one_replica_leaks_by_its_name_and_another_by_its_switch(one_of_three: dict[str, Role]) -> None:
    assert [_leaking(role) for role in one_of_three.values()] == [False, True]
    assert _leaking(one_of_three["basket-0"], switch="on")
    assert not _leaking(one_of_three["basket-0"], switch="off")


def test_metrics_count_requests_beside_those_of_the_runtime(one_of_three: dict[str, Role]) -> None:
    role = one_of_three["basket-0"]
    get(f"{role.url}/orders/ann", method="POST")
    text = get(f"{role.url}/metrics").decode()
    assert 'http_requests_total{code="200",method="POST",route="/orders/:user"} 1' in text
    for name in ("go_goroutines", "go_memstats_heap_inuse_bytes", "go_memstats_next_gc_bytes"):
        assert f"\n{name} " in text


def test_sigterm_ends_readiness_first_and_the_process_cleanly(one_of_three: dict[str, Role]) -> None:
    role = one_of_three["basket-1"]
    role.process.terminate()
    until(lambda: not _is_ready(role), seconds=1, what="readiness ends")
    assert get(f"{role.url}/orders/ann")
    assert role.process.wait(timeout=10) == 0


def _is_ready(role: Role) -> bool:
    try:
        return bool(get(f"{role.url}/readyz"))
    except OSError:
        return False


def test_pause_waits_for_sigterm(binary: Path) -> None:
    process = subprocess.Popen([str(binary), "pause"], env={})
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.terminate()
    assert process.wait(timeout=5) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["api", "-session-bytes=-1"], "SESSION_BYTES) is -1: zero or more", id="negative bytes"),
        pytest.param(["api", "-session-bytes=1MiB"], "invalid value", id="a unit where bytes are meant"),
        pytest.param(["load", "-target=http://127.0.0.1:1", "-rps=0"], "RPS) is 0", id="no rate"),
        pytest.param(["load"], "TARGET) is", id="no target and no Service"),
        pytest.param(["replicaleak", "-leak-pods=("], "LEAK_PODS) is", id="not a regular expression"),
        pytest.param(["unknown"], "unknown command", id="unknown command"),
        pytest.param([], "usage: story COMMAND", id="no command"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_is_allowed(
    binary: Path, arguments: list[str], message: str
) -> None:
    ended = subprocess.run([str(binary), *arguments], capture_output=True, text=True, env={}, timeout=10)
    assert ended.returncode == 2
    assert message in ended.stderr
