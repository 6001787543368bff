"""The way one would write it in an afternoon: per pod a range query, a pandas frame, scipy's Theil–Sen slope.

The recorded answers are served by a local HTTP server in a process of its own, so that only the client
is measured.
"""

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import numpy as np
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect
from scipy.stats import theilslopes

from tests.benchmarks.detection.fleet import BLOCK_SECONDS, END, fleet_memory

_ANSWERS = 32


def measure(pods: int, blocks: int) -> tuple[float, float]:
    """CPU and wall seconds of this process per pod."""
    with _server(blocks) as url:
        prometheus = PrometheusConnect(url=url)
        began, spent = time.perf_counter(), time.process_time()
        for pod in range(pods):
            _slope(prometheus, f"api-{pod}", blocks)
        return (time.process_time() - spent) / pods, (time.perf_counter() - began) / pods


def _slope(prometheus: PrometheusConnect, pod: str, blocks: int) -> float:
    """Growth in bytes per second and the lower end of its interval above zero or not."""
    answer = prometheus.custom_query_range(
        query=f'container_memory_rss{{namespace="bench",pod="{pod}",container="app"}}',
        start_time=datetime.fromtimestamp(END - blocks * BLOCK_SECONDS, UTC),
        end_time=datetime.fromtimestamp(END, UTC),
        step=str(BLOCK_SECONDS),
    )
    frame = MetricRangeDataFrame(answer)
    seconds = frame.index.astype("int64").to_numpy() / 1e9
    slope, _, low, _ = theilslopes(frame["value"].astype(float).to_numpy(), seconds, 0.98)
    return float(slope if low > 0 else 0.0)


@contextmanager
def _server(blocks: int) -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, blocks), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(port: Connection, blocks: int) -> None:
    memory = fleet_memory(_ANSWERS, blocks)
    bodies = [_answer(row) for row in memory]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = bodies[hash(self.path) % _ANSWERS]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_port)
    server.serve_forever()


def _answer(row: np.ndarray) -> bytes:
    times = END - BLOCK_SECONDS * np.arange(len(row))[::-1]
    values = [[int(t), f"{v:.0f}"] for t, v in zip(times, row, strict=True)]
    labels = {"__name__": "container_memory_rss", "namespace": "bench", "pod": "api", "container": "app"}
    result = [{"metric": labels, "values": values}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
