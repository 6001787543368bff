"""
A thin door in front of moto's server that lets one write through at a time.

moto checks `If-None-Match` and `If-Match`, but looks and writes in two steps of a threaded server, so two
writers can both be let through. S3 lets exactly one (user guide, "Conditional write behavior"). The door
changes nothing else, and passes everything on as it is.
"""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Door(ThreadingHTTPServer):
    """What has passed it is counted by method."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.behind = urlsplit(behind).netloc
        self.writing = threading.Lock()
        self.passed: Counter[str] = Counter()
        self.without_condition: list[str] = []
        """Paths of objects that were put without `If-Match` and `If-None-Match`."""
        self.lose_answers = 0
        """So many next answers to writes get lost: the write is done, and nobody hears of it."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def do_GET(self) -> None:
        self._pass()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  (the names that http.server calls)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _pass(self) -> None:
        writes = self.command in ("PUT", "DELETE")
        if self.command == "PUT" and not (
            {"if-match", "if-none-match"} & {one.lower() for one in self.headers}
        ):
            self.server.without_condition.append(self.path)
        body = self._body()
        with self.server.writing if writes else nullcontext():
            connection = http.client.HTTPConnection(self.server.behind, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
        self.server.passed[self.command] += 1
        if writes and self.server.lose_answers:
            self.server.lose_answers -= 1
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            del self.headers["Expect"]
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


@contextmanager
def one_at_a_time(behind: str) -> Iterator[Door]:
    """The door, until the end of the block."""
    door = Door(behind)
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.shutdown()
        thread.join(timeout=10)
        door.server_close()
