"""`bilgepump diagnose` as people call it."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import exposition

from controller.cli.diagnose import diagnose
from tests.evidence.profile_builder import MEBIBYTE, goroutine_profile, heap_profile

STACK = ["runtime.gopark", "runtime.chansend", "runtime.chansend1", "main.publish"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    churn = ("encoding/json.Marshal", "main.answer")
    contents = {
        "base": heap_profile().heap(*churn, inuse=0, allocated=10 * MEBIBYTE).gzipped(),
        "now": heap_profile()
        .heap("main.(*store).put", "main.answer", inuse=30 * MEBIBYTE)
        .heap(*churn, inuse=0, allocated=900 * MEBIBYTE)
        .gzipped(),
        "g0": goroutine_profile().sample(STACK, [2]).gzipped(),
        "g1": goroutine_profile().sample(STACK, [700]).gzipped(),
        "memstats": json.dumps(
            {"memstats": {"HeapAlloc": 1, "HeapIdle": 5, "HeapReleased": 5, "Sys": 9}}
        ).encode(),
        "bad": gzip.compress(b"nonsense" * 50),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in contents}


def call(*arguments: str):
    return CliRunner().invoke(diagnose, list(arguments))


def test_json_is_the_contract(files: dict[str, str]):
    done = call(
        files["now"], "--baseline", files["base"], "--goroutines", files["g1"], "--goroutines-baseline",
        files["g0"], "--memstats", files["memstats"], "--rss", "64Mi", "--limit", "1Gi", "-o", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {
        *("class", "confidence", "explainedShare", "retainers", "churn", "goroutines", "causes", "answers"),
        *("advice", "warnings"),
    } <= set(told)
    assert told["class"] == "goroutine"
    assert {"function", "file", "line", "inuseBytes", "deltaBytes", "share", "stack"} <= set(
        told["retainers"][0]
    )
    assert told["retainers"][0]["function"] == "main.(*store).put"
    assert told["retainers"][0]["deltaBytes"] == 30 * MEBIBYTE
    assert {"function", "allocBytes", "share", "note"} <= set(told["churn"][0])
    assert told["goroutines"][0].items() >= {"count": 700, "delta": 698, "state": "chan send"}.items()
    assert {
        *("id", "title", "confidence", "function", "file", "line", "why", "lookFor", "linter", "fix"),
    } <= set(told["causes"][0])
    assert told["causes"][0]["id"] == "goroutine-blocked-on-channel-send"
    assert told["answers"]["rightDirection"] is False
    assert "encoding/json.Marshal" in told["answers"]["suspectsCleared"]
    assert told["answers"]["canMemoryBeFreedByHand"] is False
    assert {"gomemlimit", "gogc", "limit"} <= set(told["advice"])
    assert told["advice"]["gomemlimitBytes"] == 857 * MEBIBYTE  # 90 % of 1 GiB, less 64 MiB that are not Go's


def test_text_answers_without_colour(files: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    done = call(files["now"], "--baseline", files["base"])
    assert done.exit_code == 0
    for sentence in (
        "Holds the memory",
        "Only churns",
        "Are we looking in the right place?",
        "main.(*store).put",
    ):
        assert sentence in done.stdout
    assert "\x1b" not in done.stdout


def test_html_is_one_page(files: dict[str, str]):
    done = call(files["now"], "--baseline", files["base"], "-o", "html")
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.rstrip().endswith("</html>")


def test_a_file_that_is_no_profile_ends_with_its_reason(files: dict[str, str]):
    done = call(files["bad"])
    assert done.exit_code == 1
    assert "NotAProfile" in done.output
    assert "Traceback" not in done.output


def test_a_file_of_a_gibibyte_is_not_even_opened(tmp_path: Path):
    huge = tmp_path / "huge.pb.gz"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    done = call(str(huge))
    assert done.exit_code == 1
    assert "TooLarge" in done.output


def test_a_goroutine_profile_in_place_of_a_heap_profile_is_told(files: dict[str, str]):
    done = call(files["g1"])
    assert done.exit_code == 1
    assert "WrongKind" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "give a heap profile HEAP, --metrics FILE", id="nothing to read"),
        pytest.param(["--live", "http://127.0.0.1:1", __file__], "either files or --live", id="both"),
        pytest.param(["--live", "ftp://x"], "must be http://", id="other scheme"),
        pytest.param(["--live", "http://127.0.0.1:1", "--watch", "soon"], "soon", id="no duration"),
    ],
)
def test_wrong_usage_says_what_is_allowed(arguments: list[str], said: str):
    done = call(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_size_that_is_none_says_what_is_allowed(files: dict[str, str]):
    done = call(files["now"], "--limit", "big")
    assert done.exit_code == 2
    assert "512Mi" in done.output


def test_a_service_that_is_not_there_ends_with_a_reason():
    done = call("--live", "http://127.0.0.1:1", "--watch", "1s")
    assert done.exit_code == 1
    assert "Unreachable" in done.output


def test_a_program_without_pprof_is_judged_by_its_metrics(tmp_path: Path):
    files = []
    for name, heap in (("base", 50), ("now", 400)):
        used, total, rss = heap * MEBIBYTE, (heap + 20) * MEBIBYTE, (heap + 100) * MEBIBYTE
        (tmp_path / name).write_text(
            f"nodejs_heap_size_used_bytes {used}\n"
            f"nodejs_heap_size_total_bytes {total}\n"
            f"process_resident_memory_bytes {rss}\n"
        )
        files.append(str(tmp_path / name))
    done = call("--metrics", files[1], "--metrics-baseline", files[0], "--limit", "512Mi")
    assert done.exit_code == 0, done.output
    for told in ("Node: the heap grew by 350 MiB", "--max-old-space-size=384", "profiles left out"):
        assert told in done.stdout
    assert "GOMEMLIMIT" not in done.stdout
    assert json.loads(call("--metrics", files[1], "-o", "json").stdout)["runtime"] == "node"
    page = call("--metrics", files[1], "-o", "html").stdout
    assert "--max-old-space-size" in page
    assert "GOMEMLIMIT" not in page


def test_a_live_service_without_pprof_is_asked_for_its_metrics():
    server, thread = exposition.start_http_server(0, addr="127.0.0.1")
    try:
        done = call("--live", f"http://127.0.0.1:{server.server_port}", "--watch", "1s", "-o", "json")
    finally:
        server.shutdown()
        thread.join()
    assert done.exit_code == 0, done.output
    assert "reading the program's own metrics instead" in done.stderr
    assert json.loads(done.stdout)["runtime"] == "python"
