"""A scan against a real HTTP server that answers as Prometheus does."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from controller.cli.scan import Found, Scanned, _print, findings_of, owner_of, scan, selector_matchers
from controller.cli.scan_table import Finding
from controller.detection.assessment import Verdict
from controller.detection.reasons import AssessmentReason
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.policy.memory_policy import DetectionRules
from tests.detection.fleet import NOW as FLEET_NOW
from tests.detection.fleet import matrix, past_life
from tests.fakes import NOW, an_assessment

MIB = 2**20
STARTED = int(time.time()) - 50 * 3600


def memory(pod: str, at: int) -> float:
    """In MiB: one pod leaks 4.8 MiB an hour, the other stays."""
    hours = (at - STARTED) / 3600
    return 90 + 4.8 * hours if pod.startswith("leaky") else 150.0


class Prometheus(BaseHTTPRequestHandler):
    pods: tuple[str, ...] = ("leaky-7d9f8c6b5-x2k4q", "steady-6c5d4f7b8-z9w8v")
    metrics: tuple[str, ...] = ("container_memory_rss", "container_memory_working_set_bytes")
    """What it knows of memory."""
    gone: tuple[str, ...] = ()
    """Pods of `pods` that ended 30 hours ago."""

    def do_GET(self) -> None:
        asked = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
        text = asked["query"]
        moments = range(int(asked["start"]), int(asked["end"]) + 1, int(asked["step"]))
        body = json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": self._result(text, moments)}}
        ).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def _result(self, text: str, moments: range) -> list[dict[str, Any]]:
        if "kube_pod_owner" in text or "kube_replicaset_owner" in text:
            return []
        if "kube_pod_labels" in text:
            chosen = [pod for pod in self.pods if 'label_app="leaky"' not in text or pod.startswith("leaky")]
            return [
                {"metric": {"namespace": "shop", "pod": pod}, "values": [[moments[0], "1"]]} for pod in chosen
            ]
        if text.startswith("count by (namespace)"):
            known = self.pods and any(metric in text for metric in self.metrics)
            return [{"metric": {"namespace": "shop"}, "values": [[moments[0], "2"]]}] if known else []
        value = self._value(text)
        if value is None:
            return []
        return [
            {
                "metric": {"namespace": "shop", "pod": pod, "container": "app"},
                "values": [[at, f"{value(pod, at):.0f}"] for at in moments if STARTED < at <= self._end(pod)],
            }
            for pod in self.pods
        ]

    def _end(self, pod: str) -> int:
        return STARTED + (20 if pod in self.gone else 100) * 3600

    def _value(self, text: str) -> Any:
        if any(metric in text for metric in self.metrics):
            return lambda pod, at: memory(pod, at) * MIB
        if "container_spec_memory_limit_bytes" in text:
            return lambda pod, at: 512 * MIB
        if "container_start_time_seconds" in text:
            return lambda pod, at: STARTED
        return None

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[ThreadingHTTPServer] = []

    def start(**attributes: object) -> str:
        handler = type("Handler", (Prometheus,), attributes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(scan, list(arguments))


def test_leak_is_found_first_and_tells_by_exit_code(serve: Any) -> None:
    result = call("--prometheus", serve(), "-o", "json")

    assert result.exit_code == 3, result.output
    first, second = json.loads(result.stdout)["results"]
    assert first["workload"] == "Deployment shop/leaky/app"
    assert (first["verdict"], first["replicasLeaking"], first["replicas"]) == ("Leaking", 1, 1)
    assert first["growthBytesPerHour"] == pytest.approx(4.8 * MIB, rel=0.05)
    assert first["crossesThresholdEarliest"] <= first["crossesThresholdAt"]
    assert second["verdict"] == "Healthy"


def test_table_shows_what_is_wrong_and_says_it_in_words(serve: Any) -> None:
    result = call("--prometheus", serve(), "--namespace", "shop")

    assert "Deployment shop/leaky/app" in result.stdout
    assert "Leaking" in result.stdout
    assert "steady" not in result.stdout
    assert "1 of 2 containers leak." in result.stdout
    assert "█" in result.stdout


def test_wide_shows_everything(serve: Any) -> None:
    result = call("--prometheus", serve(), "-o", "wide")

    assert "steady" in result.stdout
    assert "leaky-7d9f8c6b5-x2k4q" in result.stdout


def test_no_leak_is_exit_code_zero(serve: Any) -> None:
    result = call("--prometheus", serve(pods=("steady-6c5d4f7b8-z9w8v",)))

    assert result.exit_code == 0, result.output
    assert "0 of 1 containers leak." in result.stdout


def test_selector_chooses_pods_by_their_labels(serve: Any) -> None:
    result = call("--prometheus", serve(), "--selector", "app=leaky", "-o", "json")

    assert [one["workload"] for one in json.loads(result.stdout)["results"]] == ["Deployment shop/leaky/app"]


@pytest.mark.parametrize("metric", Prometheus.metrics)
def test_either_metric_of_memory_is_enough_to_be_known(serve: Any, metric: str) -> None:
    result = call("--prometheus", serve(metrics=(metric,)), "-o", "json")

    assert [one["workload"] for one in json.loads(result.stdout)["results"]] == [
        "Deployment shop/leaky/app",
        "Deployment shop/steady/app",
    ]


def test_source_that_knows_no_memory_is_exit_code_one(serve: Any) -> None:
    result = call("--prometheus", serve(pods=()))

    assert result.exit_code == 1
    assert "knows no container memory" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--prometheus", "ftp://host"], id="no http address"),
        pytest.param(["--prometheus", "http://host", "--lookback", "two days"], id="no duration"),
        pytest.param(["--prometheus", "http://host", "--lookback", "10s"], id="lookback too short"),
        pytest.param(["--prometheus", "http://host", "--header", "novalue"], id="no header"),
        pytest.param(["--prometheus", "http://host", "--selector", "app in (a)"], id="a set selector"),
        pytest.param([], id="no source"),
    ],
)
def test_wrong_usage_is_exit_code_two(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_selector_becomes_matchers_of_kube_state_metrics() -> None:
    assert selector_matchers("app.kubernetes.io/name=api, tier!=batch") == (
        'label_app_kubernetes_io_name="api"',
        'label_tier!="batch"',
    )
    with pytest.raises(click.UsageError, match="name=value"):
        selector_matchers("app")


POD = {"namespace": "shop", "pod": "api-5f6d-x2", "owner_kind": "ReplicaSet", "owner_name": "api-5f6d"}


@pytest.mark.parametrize(
    ("above", "owner"),
    [
        (None, "Deployment api"),
        ({"owner_kind": "Deployment", "owner_name": "api"}, "Deployment api"),
        ({"owner_kind": "Rollout", "owner_name": "api"}, "Rollout api"),
        ({"owner_kind": "<none>", "owner_name": "<none>"}, "ReplicaSet api-5f6d"),
    ],
)
def test_pod_of_a_replicaset_belongs_to_whom_that_belongs(above: dict[str, str] | None, owner: str) -> None:
    sets = {("shop", "api-5f6d"): above} if above else {}
    assert owner_of(POD, sets) == (("shop", "api-5f6d-x2"), owner)


def test_what_could_not_be_judged_is_no_good_news(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = an_assessment(verdict=Verdict.INSUFFICIENT_DATA, reason=AssessmentReason.RUN_TOO_YOUNG)
    findings = [
        Finding(workload=name, worst=one, leaking=0, replicas=1, sparkline="")
        for name, one in (("a", unknown), ("b", an_assessment(verdict=Verdict.HEALTHY)))
    ]
    _print(Found(findings=tuple(findings), gone=0), NOW, "table")
    assert "0 of 2 containers leak. 1 could not be judged: -o wide says why." in capsys.readouterr().out


GONE = ("leaky-5c5d7d9f8-b5c7d", "steady-5c5d7d9f8-d5c7d")


def test_pods_that_are_gone_are_no_replicas_and_speak_for_nobody(serve: Any) -> None:
    url = serve(pods=(*GONE, *Prometheus.pods), gone=GONE)

    first, second = json.loads(call("--prometheus", url, "-o", "json").stdout)["results"]

    assert (first["replicasLeaking"], first["replicas"]) == (1, 1)
    assert (second["verdict"], second["replicas"]) == ("Healthy", 1)


def test_workload_that_is_gone_is_only_counted(serve: Any) -> None:
    result = call("--prometheus", serve(pods=(GONE[0], Prometheus.pods[1]), gone=GONE))

    assert result.exit_code == 0, result.output
    assert "0 of 1 containers leak. 1 more is measured no longer." in result.stdout


def test_replica_without_data_does_not_hide_that_another_is_healthy() -> None:
    columns = 576
    floors = np.full((2, columns), 150.0 * MIB, dtype=np.float32)
    floors[0, :-6] = np.nan
    starts = np.full((2, columns), -50 * 3600.0, dtype=np.float32)
    starts[0] = -1800
    pods = ("steady-6c5d4f7b8-k7w6v", "steady-6c5d4f7b8-z9w8v")
    matrix = BlockMatrix(
        keys=tuple(ContainerKey("shop", pod, "app") for pod in pods),
        end=NOW.timestamp(),
        block_seconds=300.0,
        signals={Signal.RSS_FLOOR: floors, Signal.RSS_TOP: floors, Signal.START_TIME: starts},
    )
    scanned = Scanned(matrix=matrix, history=None, owners={}, pods=None)

    (only,) = findings_of(scanned, DetectionRules(), NOW).findings

    assert (only.worst.verdict, only.replicas) == (Verdict.HEALTHY, 2)


def test_release_that_stood_takes_no_alarm_from_the_next_one() -> None:
    old = past_life(0, 18, lambda age: 330 + 0 * age)
    new = past_life(18, 48, lambda age: 100 + 8 * age)
    fleet = matrix([old, new], pods=("api-5c5d7d9f8-b5c7d", "api-7d9f8c6b5-x2k4q"))

    (only,) = findings_of(
        Scanned(matrix=fleet, history=None, owners={}, pods=None), DetectionRules(), FLEET_NOW
    ).findings

    assert (only.worst.verdict, only.worst.reason) == (Verdict.LEAKING, AssessmentReason.STEADY_GROWTH)
    assert only.replicas == 1
