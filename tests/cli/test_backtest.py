"""The backtest as people and judges call it: files in, the JSON contract out, clear errors."""

import dataclasses
import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

from controller.cli import backtest as backtesting
from controller.cli import replay
from controller.cli.backtest import backtest
from controller.cli.backtest_plot import Trace, figure_of, traces_of
from controller.cli.replay import BacktestResult, ContainerResult, Transition
from controller.decision.outcome import Action
from controller.metrics.recorded_memory import RecordedMemory
from controller.metrics.series import ContainerKey, Signal
from tests.fakes import NOW, an_assessment

MIB = 2**20
BEGIN = 1_772_366_400
POLICY = """
apiVersion: bilgepump.dev/v1alpha1
kind: MemoryPolicy
metadata: {name: api, namespace: shop}
spec:
  mode: Remediate
  target: {workloads: [{kind: Deployment, name: api}]}
"""


def series(name: str, values: np.ndarray, pod: str = "api-7d9f8c6b5-x2k4q") -> dict[str, Any]:
    labels = {"__name__": name, "namespace": "shop", "pod": pod, "container": "app"}
    samples = [
        [BEGIN + 60 * place, f"{value:.0f}"] for place, value in enumerate(values) if np.isfinite(value)
    ]
    return {"metric": labels, "values": samples}


def recording(memory: np.ndarray, pod: str = "api-7d9f8c6b5-x2k4q") -> dict[str, Any]:
    """
    A `query_range` answer of one container; `memory` in MiB, one sample a minute, limit 512 MiB.

    It lives where its memory is a number, and started a minute before.
    """
    lived = np.isfinite(memory)
    started = BEGIN + 60 * int(np.argmax(lived)) - 60
    result = [
        series("container_memory_rss", memory * MIB, pod),
        series("container_memory_working_set_bytes", (memory + 2) * MIB, pod),
        series("container_spec_memory_limit_bytes", np.where(lived, 512.0 * MIB, np.nan), pod),
        series("container_start_time_seconds", np.where(lived, started, np.nan), pod),
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def leak(hours: int = 60) -> np.ndarray:
    minutes = np.arange(hours * 60)
    return 80 + 5 * minutes / 60 + np.random.default_rng(1).normal(0, 1, len(minutes))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def call(*arguments: str | Path) -> Result:
    hourly = ["--every", "60"]
    return CliRunner().invoke(backtest, [*hourly, *(str(argument) for argument in arguments)])


def write(path: Path, document: object) -> Path:
    body = json.dumps(document).encode()
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


def test_young_leak_that_became_doubtful_is_remediated_before_it_is_critical(
    tmp_path: Path, policy: Path
) -> None:
    hour = np.arange(24 * 60) / 60
    since = np.maximum(hour - 13.5, 0)
    memory = 190 + 13 * np.minimum(hour, 13.5) + 8 * since + 15 * np.sin(2 * np.pi * since / 5)
    memory += np.random.default_rng(0).normal(0, 0.5, len(hour))
    file = write(tmp_path / "leak.json.gz", recording(memory))

    result = call("--policy", policy, "--from-file", file, "-o", "json", "--every", "10")

    said = json.loads(result.stdout)["results"][0]["transitions"]
    acts = [one for one in said if one["action"] == "Remediate"]
    critical = BEGIN + 60 * int(np.argmax(memory >= 0.85 * 512))
    crossed = BEGIN + 60 * int(np.argmax(memory >= 0.70 * 512))
    assert {one["verdict"] for one in said} >= {"Leaking", "Suspect"}
    assert crossed < datetime.fromisoformat(acts[0]["time"]).timestamp() < critical
    assert "Suspect" in {one["verdict"] for one in acts}


def test_leak_is_told_and_remediated_before_it_crosses(tmp_path: Path, policy: Path) -> None:
    file = write(tmp_path / "leak.json.gz", recording(leak()))

    result = call("--policy", policy, "--from-file", file, "-o", "json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    (container,) = answer["results"]
    assert container["workload"] == "Deployment/api"
    transitions = container["transitions"]
    assert transitions[0]["verdict"] == "InsufficientData"
    first = next(one for one in transitions if one["verdict"] == "Leaking")
    acted = next(one for one in transitions if one["action"] == "Remediate")
    crosses = BEGIN + (0.7 * 512 - 82) / 5 * 3600
    assert first["time"] < acted["time"] < _text(crosses)
    assert first["growthBytesPerHour"] == pytest.approx(5 * MIB, rel=0.1)
    assert first["crossesThresholdEarliest"] <= _text(crosses) <= first["crossesThresholdLatest"]
    assert answer["summary"]["remediations"] >= 1


@pytest.mark.parametrize(
    ("target", "pod", "acts"),
    [
        ("workloads: [{kind: Deployment, name: api}]", "api-7d9f8c6b5-x2k4q", True),
        ("workloads: [{kind: Deployment, name: api}]", "billing-7d9f8c6b5-x2k4q", False),
        ("workloads: [{kind: Deployment, name: api}]", "api-billing-7d9f8c6b5-x2k4q", False),
        ("workloads: [{kind: Deployment, name: api}]", "unknown-0", True),
        ("workloads: [{kind: Rollout, name: api}]", "api-7d9f8c6b5-x2k4q", True),
        ("workloads: [{kind: StatefulSet, name: api}]", "api-7d9f8c6b5-x2k4q", False),
        ("workloads: [{kind: DaemonSet, name: api-7d9f8c6b5}]", "api-7d9f8c6b5-x2k4q", True),
        ("selector: {matchLabels: {app: api}}", "billing-7d9f8c6b5-x2k4q", True),
    ],
)
def test_policy_acts_on_no_other_workload_than_it_names(
    tmp_path: Path, target: str, pod: str, acts: bool
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("workloads: [{kind: Deployment, name: api}]", target))
    file = write(tmp_path / "leak.json", recording(leak(), pod))

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json").stdout)

    said = answer["results"][0]["transitions"]
    assert "Leaking" in {one["verdict"] for one in said}
    assert ("Remediate" in {one["action"] for one in said}) is acts
    assert acts or {one["action"] for one in said} == {"None"}


def test_recording_of_another_namespace_is_replayed_as_the_policys_own(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("namespace: shop", "namespace: elsewhere"))
    file = write(tmp_path / "leak.json", recording(leak()))

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json").stdout)

    assert answer["summary"]["remediations"] >= 1


@pytest.mark.parametrize("every", ["60", "1440"])
def test_crossing_is_told_the_same_however_rarely_it_is_looked(
    tmp_path: Path, policy: Path, every: str
) -> None:
    file = write(tmp_path / "leak.json", recording(leak(30)))

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json", "--every", every).stdout)

    *_, last = (one for one in answer["results"][0]["transitions"] if one["crossesThresholdAt"])
    crosses = datetime.fromtimestamp(BEGIN + (0.7 * 512 - 82) / 5 * 3600, UTC)
    assert abs(datetime.fromisoformat(last["crossesThresholdAt"]) - crosses) < timedelta(hours=1.5)
    assert last["time"] <= _text(BEGIN + 30.2 * 3600)


def test_release_that_stood_takes_no_alarm_from_the_next_one(tmp_path: Path, policy: Path) -> None:
    hours = np.arange(54 * 60) / 60
    releases = {
        "api-5c5d7d9f8-b5c7d": np.where(hours < 18, 330, np.nan),
        "api-7d9f8c6b5-x2k4q": np.where(hours < 18, np.nan, 100 + 8 * (hours - 18)),
    }
    files = [
        argument
        for pod, memory in releases.items()
        for argument in ("--from-file", write(tmp_path / f"{pod}.json", recording(memory, pod)))
    ]

    answer = json.loads(call("--policy", policy, *files, "-o", "json").stdout)

    verdicts = {one["pod"]: {said["verdict"] for said in one["transitions"]} for one in answer["results"]}
    assert [("Leaking" in verdicts[pod]) for pod in releases] == [False, True]


def test_restart_of_several_leaking_replicas_is_one_remediation(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + "  evidence: {pprof: [{container: app, port: 6060}]}\n")
    pods = [f"api-7d9f8c6b5-{name}" for name in ("x2k4q", "zzzz2", "bbbb4")]
    documents = [recording(leak(70) + place, pod) for place, pod in enumerate(pods)]
    together = {
        "data": {"resultType": "matrix", "result": [s for d in documents for s in d["data"]["result"]]}
    }
    file = write(tmp_path / "three.json", together)

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json").stdout)

    acts = [
        (one["time"], one["action"])
        for container in answer["results"]
        for one in container["transitions"]
        if one["action"] in ("Capture", "Remediate")
    ]
    for count, action in (("remediations", "Remediate"), ("captures", "Capture")):
        orders = [time for time, what in acts if what == action]
        assert len(orders) > len(set(orders)), "at once, for several replicas"
        assert answer["summary"][count] == len(set(orders))


def test_transitions_have_exactly_the_fields_of_the_contract(tmp_path: Path, policy: Path) -> None:
    file = write(tmp_path / "leak.json", recording(leak()))

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json").stdout)

    fields = {
        "time",
        "verdict",
        "reason",
        "class",
        "growthBytesPerHour",
        "crossesThresholdAt",
        "crossesThresholdEarliest",
        "crossesThresholdLatest",
        "action",
        "actionReason",
    }
    for transition in answer["results"][0]["transitions"]:
        assert set(transition) == fields | {"message"}
        assert transition["time"].endswith("Z")
        assert transition["verdict"] in ("Leaking", "Suspect", "Healthy", "InsufficientData")
        assert transition["action"] in ("None", "Capture", "Remediate", "Hold")


def test_files_are_merged_whatever_their_order(tmp_path: Path, policy: Path) -> None:
    whole = recording(leak())
    first, second = json.loads(json.dumps(whole)), json.loads(json.dumps(whole))
    for one in first["data"]["result"]:
        one["values"] = one["values"][:1500]
    for one in second["data"]["result"]:
        one["values"] = one["values"][1400:]
    paths = [
        write(tmp_path / "b.json.gz", second),
        write(tmp_path / "a.json", first),
        write(tmp_path / "whole.json", whole),
    ]

    merged = call("--policy", policy, "--from-file", paths[0], "--from-file", paths[1], "-o", "json")
    listed = call("--policy", policy, "--from-file", paths[0], paths[1], "-o", "json")
    alone = call("--policy", policy, "--from-file", paths[2], "-o", "json")

    assert json.loads(merged.stdout) == json.loads(listed.stdout) == json.loads(alone.stdout)


def test_requests_are_not_counted_twice_where_files_overlap(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY + "  metrics: {requestRate: {metric: http_requests_total}}\n")
    rate = 50 + 3 * np.arange(60 * 60) / 60
    whole = recording(50 + 1.6 * rate + np.abs(np.random.default_rng(3).normal(0, 0.4, len(rate))))
    whole["data"]["result"].append(series("http_requests_total", np.cumsum(60 * rate)))
    first, second = json.loads(json.dumps(whole)), json.loads(json.dumps(whole))
    for one in first["data"]["result"]:
        one["values"] = one["values"][: 30 * 60]
    for one in second["data"]["result"]:
        one["values"] = one["values"][18 * 60 :]
    files = [write(tmp_path / f"{place}.json", one) for place, one in enumerate((first, second, whole))]

    merged = call("--policy", policy, "--from-file", files[0], "--from-file", files[1], "-o", "json")
    alone = call("--policy", policy, "--from-file", files[2], "-o", "json")

    assert json.loads(merged.stdout) == json.loads(alone.stdout)
    said = [(one["verdict"], one["action"]) for one in json.loads(alone.stdout)["results"][0]["transitions"]]
    assert ("Healthy", "None") in said
    assert "Leaking" not in {verdict for verdict, _ in said}


def test_looks_judged_together_say_what_each_says_alone(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = leak(40)
    documents = [recording(memory), recording(memory[::-1].copy(), "api-7d9f8c6b5-zzzz2")]
    files = [write(tmp_path / f"{place}.json", one) for place, one in enumerate(documents)]
    arguments = ["--policy", policy, "--from-file", files[0], "--from-file", files[1], "-o", "json"]

    together = json.loads(call(*arguments).stdout)
    monkeypatch.setattr(replay, "ROWS_AT_ONCE", 0)
    alone = json.loads(call(*arguments).stdout)

    assert together == alone


def test_pods_sampled_at_different_intervals_are_judged_alike(tmp_path: Path, policy: Path) -> None:
    rare = recording(leak(), "api-7d9f8c6b5-zzzz2")
    for one in rare["data"]["result"]:
        one["values"] = one["values"][::15]
    files = [write(tmp_path / "often.json", recording(leak())), write(tmp_path / "rare.json", rare)]

    answer = json.loads(
        call("--policy", policy, "--from-file", files[0], "--from-file", files[1], "-o", "json").stdout
    )

    verdicts = [{one["verdict"] for one in result["transitions"]} for result in answer["results"]]
    assert len(verdicts) == 2
    assert all("Leaking" in said for said in verdicts)


@pytest.mark.parametrize("every", [pytest.param(2, id="same blocks"), pytest.param(30, id="wider blocks")])
def test_replicas_sampled_at_different_intervals_are_one_workload(
    tmp_path: Path, policy: Path, every: int
) -> None:
    rare = recording(leak(70) + 3, "api-7d9f8c6b5-zzzz2")
    for one in rare["data"]["result"]:
        one["values"] = one["values"][::every]
    files = [write(tmp_path / "often.json", recording(leak(70))), write(tmp_path / "rare.json", rare)]

    answer = json.loads(
        call("--policy", policy, "--from-file", files[0], "--from-file", files[1], "-o", "json").stdout
    )

    acts = {
        datetime.fromisoformat(one["time"])
        for container in answer["results"]
        for one in container["transitions"]
        if one["action"] == "Remediate"
    }
    waits = [later - sooner for sooner, later in pairwise(sorted(acts))]
    assert waits
    assert min(waits) >= timedelta(hours=6), "the cooldown of the workload"
    assert answer["summary"]["remediations"] == len(acts)
    assert answer["summary"]["evaluations"] == 71


def test_restart_cannot_be_wanted_by_a_policy_that_observes(tmp_path: Path) -> None:
    observing = tmp_path / "policy.yaml"
    observing.write_text(POLICY.replace("Remediate", "Observe"))
    file = write(tmp_path / "leak.json", recording(leak()))

    answer = json.loads(call("--policy", observing, "--from-file", file, "-o", "json").stdout)

    said = {(one["action"], one["actionReason"]) for one in answer["results"][0]["transitions"]}
    assert "Remediate" not in {action for action, _ in said}
    assert ("Hold", "NotYetNeeded") in said


@pytest.mark.parametrize(("mode", "crossed"), [("Observe", 1), ("Remediate", 0)])
def test_crossing_counts_although_verdict_and_action_stay(tmp_path: Path, mode: str, crossed: int) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("Remediate", mode))
    file = write(tmp_path / "leak.json", recording(leak(80)))

    answer = json.loads(call("--policy", policy, "--from-file", file, "-o", "json").stdout)

    assert answer["summary"]["crossedUnremediated"] == crossed


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"\x1f\x8bbroken", "could not be read", id="broken gzip"),
        pytest.param(gzip.compress(b'{"status"')[:-9], "could not be read", id="gzip cut short"),
        pytest.param(b'{"data": {"resultType": "vector"}}', "'vector'", id="an instant answer"),
        pytest.param(b"[" * 100_000, "no JSON", id="nested without end"),
        pytest.param(b"\xff\xfe\x00", "no JSON", id="binary"),
        pytest.param(b'{"data": {"resultType": "matrix", "result": []}}', "no container", id="no container"),
    ],
)
def test_unreadable_file_is_named_with_its_cause(
    tmp_path: Path, policy: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(content)

    result = call("--policy", policy, "--from-file", file)

    assert result.exit_code == 1
    assert says in result.output
    assert not isinstance(result.exception, (ValueError, RecursionError))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param((), "either --from-file or --prometheus", id="nothing to replay"),
        pytest.param(("--from-file", "/no/such/file"), "does not exist", id="no such file"),
        pytest.param(("--from-file", __file__, "/no/such/file"), "does not exist", id="no such further file"),
        pytest.param((__file__,), "either --from-file or --prometheus", id="a file without the option"),
        pytest.param(("--prometheus", "http://p", __file__), "--from-file only", id="a file beside a source"),
    ],
)
def test_wrong_usage_is_exit_code_two(policy: Path, arguments: tuple[str, ...], says: str) -> None:
    result = call("--policy", policy, *arguments)

    assert result.exit_code == 2
    assert says in result.output


def test_invalid_policy_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace("mode: Remediate", "mode: Destroy"))
    file = write(tmp_path / "leak.json", recording(leak(5)))

    result = call("--policy", path, "--from-file", file)

    assert result.exit_code == 2
    assert "spec.mode" in result.output


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda values: values[::-1], id="out of order"),
        pytest.param(lambda values: [one for one in values for _ in range(3)], id="everything three times"),
        pytest.param(lambda values: [[at, v if at % 180 else "NaN"] for at, v in values], id="a third NaN"),
        pytest.param(lambda values: [[at, "-1"] for at, _ in values], id="negative"),
        pytest.param(lambda values: [[at, "1e300"] for at, _ in values], id="huge"),
        pytest.param(lambda values: values[:3], id="three samples"),
        pytest.param(lambda values: [[str(at), v] for at, v in values], id="times as text"),
        pytest.param(lambda values: [None, [], [1], {"a": 1}, *values], id="things that are no samples"),
    ],
)
def test_spoilt_healthy_series_never_leak(tmp_path: Path, policy: Path, spoil: Any) -> None:
    document = recording(200 + np.random.default_rng(2).normal(0, 2, 1800))
    for one in document["data"]["result"]:
        one["values"] = spoil(one["values"])
    file = write(tmp_path / "spoilt.json", document)

    result = call("--policy", policy, "--from-file", file, "-o", "json")

    assert result.exit_code in (0, 1), result.output
    if result.exit_code == 0:
        said = [t["verdict"] for one in json.loads(result.stdout)["results"] for t in one["transitions"]]
        assert "Leaking" not in said


def test_plot_is_one_self_contained_page_that_escapes_names(tmp_path: Path, policy: Path) -> None:
    file = write(tmp_path / "leak.json", recording(leak(), pod="<script>alert(1)</script>"))
    page = tmp_path / "out.html"

    result = call("--policy", policy, "--from-file", file, "--plot", page)

    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http:" not in text
    assert "https:" not in text
    assert "<path d=" in text


def test_plot_as_png(tmp_path: Path, policy: Path) -> None:
    pytest.importorskip("matplotlib")
    file = write(tmp_path / "leak.json", recording(leak(20)))
    picture = tmp_path / "out.png"

    assert call("--policy", policy, "--from-file", file, "--plot", picture).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plot_as_svg_is_xml_whatever_the_names(tmp_path: Path, policy: Path) -> None:
    pytest.importorskip("matplotlib")
    file = write(tmp_path / "leak.json", recording(leak(20), pod="--><script>alert(1)</script>"))
    picture = tmp_path / "out.SVG"

    assert call("--policy", policy, "--from-file", file, "--plot", picture).exit_code == 0
    tags = {one.tag.rpartition("}")[2] for one in ElementTree.parse(picture).iter()}
    assert ("svg" in tags, "path" in tags, "script" in tags) == (True, True, False)


def a_trace(**changes: Any) -> Trace:
    said = an_assessment()
    seen = Transition(at=NOW, assessment=said, action=Action.REMEDIATE, action_reason="ThresholdNear")
    times = NOW.timestamp() + 300.0 * np.arange(-12, 13)
    values = np.linspace(300.0, 400.0, len(times)) * MIB
    trace = Trace(
        result=ContainerResult(key=said.key, workload=None, transitions=(seen,)),
        times=times,
        tops=values,
        floors=values,
        limit=512.0 * MIB,
        threshold=358.0 * MIB,
    )
    return dataclasses.replace(trace, **changes)


def test_png_shows_projection_and_names_verdicts() -> None:
    pytest.importorskip("matplotlib")

    (axis,) = figure_of([a_trace()]).axes

    assert [text.get_text().strip() for text in axis.texts] == ["Leaking, Remediate"]
    (projection,) = [line for line in axis.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    assert list(projection.get_xdata()) == pytest.approx([1.0, 1.0 + 25 / 60])
    assert list(projection.get_ydata()) == pytest.approx([350.0, 358.0])


def test_png_says_how_many_it_does_not_show() -> None:
    pytest.importorskip("matplotlib")

    assert "40 of 41 containers shown" in figure_of([a_trace()] * 41).get_suptitle()
    assert figure_of([a_trace()] * 40).get_suptitle() == ""


@pytest.mark.parametrize(
    ("plot", "exit_code", "says"),
    [
        pytest.param("missing/out.html", 2, "missing is no directory", id="no folder"),
        pytest.param("out.gif", 2, "--plot writes .html, .png or .svg (is '.gif')", id="another format"),
        pytest.param("out", 2, "--plot writes .html, .png or .svg (is '/", id="no format"),
        pytest.param("out.png", 1, ".png needs matplotlib", id="png without matplotlib"),
        pytest.param("out.svg", 1, ".svg needs matplotlib", id="svg without matplotlib"),
    ],
)
def test_plot_that_cannot_be_is_refused_before_the_replay(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch, plot: str, exit_code: int, says: str
) -> None:
    monkeypatch.setattr(backtesting, "run_backtest", lambda *_: pytest.fail("it was replayed"))
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    file = write(tmp_path / "leak.json", recording(leak(5)))

    result = call("--policy", policy, "--from-file", file, "--plot", tmp_path / plot)

    assert (result.exit_code, says in result.output) == (exit_code, True), result.output
    assert result.stdout == ""


def test_plot_that_cannot_be_written_is_a_sentence(tmp_path: Path, policy: Path) -> None:
    file = write(tmp_path / "leak.json", recording(leak(5)))
    page = tmp_path / f"{'x' * 300}.html"

    result = call("--policy", policy, "--from-file", file, "--plot", page)

    assert (result.exit_code, "could not be written: File name too long" in result.output) == (1, True)
    assert "of 1 containers ever leaking" in result.stdout, "the answer is told all the same"


def test_container_without_memory_has_no_chart() -> None:
    keys = tuple(ContainerKey("shop", pod, "app") for pod in ("api-1", "report-1"))
    floors = np.array([[100.0, 101.0], [np.nan, np.nan]], dtype=np.float32) * np.float32(MIB)
    recorded = RecordedMemory(
        keys=keys,
        begin=BEGIN,
        block_seconds=300,
        signals={Signal.RSS_FLOOR: floors},
        first=np.full(2, float(BEGIN)),
        last=np.full(2, float(BEGIN + 600)),
    )
    results = tuple(ContainerResult(key=key, workload=None, transitions=()) for key in keys)
    result = BacktestResult(results=results, evaluations=1, begin=None, end=None, remediations=0, captures=0)

    assert [one.result.key for one in traces_of(result, [recorded])] == [keys[0]]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(["--namespace", "shop"], "--namespace", id="namespace"),
        pytest.param(["-n", "shop"], "--namespace", id="namespace in short"),
        pytest.param(["--since", "240h"], "--since", id="since, as it would be anyway"),
        pytest.param(["--since", "5h", "-n", "shop"], "--namespace, --since", id="both"),
        pytest.param(["--sample-interval", "30"], "--sample-interval", id="how a source is asked"),
    ],
)
def test_option_that_files_do_not_heed_is_wrong_usage(
    tmp_path: Path, policy: Path, given: list[str], names: str
) -> None:
    file = write(tmp_path / "leak.json", recording(leak(5)))

    result = call("--policy", policy, "--from-file", file, *given)

    assert (result.exit_code, f"only with --prometheus: {names};" in result.output) == (2, True)
    assert result.stdout == ""


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
