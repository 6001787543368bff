"""Every query of the dashboards, asked of a real Prometheus that scrapes our metrics and cAdvisor's."""

import asyncio
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.clients.telemetry import PrometheusTelemetry
from controller.policy.memory_policy import Mode
from docs.generators.alert_rules import RECORDINGS
from docs.generators.dashboards import dashboards, expressions
from tests.chart.contact_sheet import sheets
from tests.clients.test_telemetry import POLICY, swept
from tests.cluster.binaries import build
from tests.sweep.test_flow import a_leaking_world

pytestmark = pytest.mark.go

LABELS = 'namespace="shop",pod="api-1",container="app"'
CADVISOR = f"""\
container_memory_rss{{{LABELS}}} 3e8
container_memory_working_set_bytes{{{LABELS}}} 3.1e8
container_spec_memory_limit_bytes{{{LABELS}}} 536870912
container_oom_events_total{{{LABELS}}} 1
container_start_time_seconds{{{LABELS}}} 1000
"""
VARIABLES = {
    "$namespace": "shop",
    "$kind": "Deployment",
    "$name": "api",
    "$__rate_interval": "10s",
    "$__interval": "10s",
    "$__range": "10s",
}


def _exposition() -> bytes:
    # An observed leak: it is held, and its incident stays open.
    policy = replace(POLICY, mode=Mode.OBSERVE)
    telemetry: PrometheusTelemetry = asyncio.run(swept(a_leaking_world(), policy, sweeps=2))
    telemetry.sweeps_every(timedelta(minutes=1))
    telemetry.leads(True)
    telemetry.held("shop", "CoolingDown")
    telemetry.remediated("shop", "RollingRestart")
    telemetry.recovered("shop", "Recovered")
    telemetry.captured("heap", "kept")
    telemetry.failed("platform")
    return telemetry.exposition() + CADVISOR.encode()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL, once it has scraped twice."""
    exposition = _exposition()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exposition)

        def log_message(self, *_: Any) -> None: ...

    folder = tmp_path_factory.mktemp("prometheus")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    job = {
        "job_name": "bilgepump",
        "honor_labels": True,
        "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}],
    }
    (folder / "prometheus.yaml").write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]})
    )
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            build(("prometheus",))["prometheus"],
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0",
        ],
        stderr=log,
    )
    try:
        url = f"http://127.0.0.1:{_port(folder / 'log')}"
        _wait(lambda: _ask(url, "count_over_time(bilgepump_leader[1m]) > 2"), "three scrapes")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()
        server.shutdown()
        server.server_close()


def _port(log: Path) -> str:
    def listening() -> str:
        lines = [line for line in log.read_text().splitlines() if "Listening on" in line]
        return lines[0].rpartition("address=")[2].rpartition(":")[2] if lines else ""

    return str(_wait(listening, "Prometheus to listen"))


def _wait(question: Any, what: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"waited a minute for {what}")


def _ask(url: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
        return list(json.load(answer)["data"]["result"])


def _filled(expression: str) -> str:
    for name, value in sorted(VARIABLES.items(), reverse=True):
        expression = expression.replace(name, value)
    return expression


@pytest.mark.parametrize("board", dashboards(), ids=lambda path: path.stem)
def test_every_panel_shows_something(board: Path, prometheus: str) -> None:
    content = json.loads(dashboards()[board])
    queries = list(expressions(content))
    assert len(queries) > 10
    for query in queries:
        if "phase=~" in query and "bilgepump_open_incident" in query:
            continue  # an annotation: there is one of several phases at a time
        assert _ask(prometheus, _filled(query)), f"nothing is shown for {query}"


def test_one_annotation_shows_the_open_incident(prometheus: str) -> None:
    (path,) = (one for one in dashboards() if "workload" in one.stem)
    annotations = json.loads(dashboards()[path])["annotations"]["list"]
    shown = [one["name"] for one in annotations if _ask(prometheus, _filled(one["expr"]))]
    assert len(shown) == 1


def test_every_recording_rule_records_something(prometheus: str) -> None:
    for rule in RECORDINGS:
        assert _ask(prometheus, rule.expression.replace("[1d]", "[10s]")), rule.name


@pytest.mark.long
def test_pictures_of_an_eventful_time_show_every_panel(tmp_path: Path) -> None:
    for picture, empty in sheets(tmp_path).items():
        assert picture.stat().st_size > 20_000
        assert set(empty) <= {"Failures"}
