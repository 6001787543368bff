"""A reverse proxy between the controller and a real server that breaks what it is told to break."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal

import urllib3

LONGEST_HOLD_SECONDS = 900.0
HOP_BY_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the proxy saw it."""

    verb: str
    path: str
    """With its query."""
    authorization: str = field(default="", repr=False)
    operation: str = ""
    """Of an AWS API that speaks JSON, such as `AmazonEC2ContainerServiceV20141113.StopTask`."""

    def __str__(self) -> str:
        return f"{self.verb} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to the requests that `hits` picks; the name says what a person would see."""

    name: str
    status: int | None = None
    """Answered in the server's place."""
    asks_first: bool = False
    """The server is asked all the same, before `status` is answered."""
    body: bytes = b"{}"
    content_type: str = "application/json"
    delay_seconds: float = 0.0
    reset: Literal["never", "before", "after"] = "never"
    """The connection is cut before the server is asked, or after it has done what it was asked."""
    keep_share: float = 1.0
    """So much of the server's answer is sent; the rest never comes."""
    stale: bool = False
    """The first answer that this path ever got is sent again and again."""
    repeats: int = 1
    """So often `body` is sent, one after the other: an answer that is too large to be kept here."""
    location: str = ""
    """Where `status` redirects to."""
    echoes: bool = False
    """The request's own headers are answered as an error of Prometheus, in place of `body`."""
    rewrites: Callable[[bytes], bytes] = bytes
    """What becomes of the server's answer."""
    asks_instead: Callable[[str], str] = str
    """What the server is asked in place of the path with its query."""

    @property
    def lets_through(self) -> bool:
        """Whether the server does what it is asked, whatever the answer looks like."""
        return self.asks_first or (self.status is None and self.reset != "before")


_WHOLE = Fault(name="none")


@dataclass
class FaultyServer:
    """The proxy: `url` is what the controller is given."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answered: int = 0
    """How many answers have been sent whole; of watches none."""
    before: Callable[[Asked], None] = lambda _: None
    """Called with each request before the server is asked; the request waits for its return."""
    after: Callable[[Asked], None] = lambda _: None
    """Called when the server has answered; the answer waits for its return."""
    _fault: Fault | None = None
    _hits: Callable[[Asked], bool] = lambda _: True
    first_answers: dict[str, urllib3.BaseHTTPResponse] = field(default_factory=dict)
    """By path with query."""
    _watches: set[socket.socket] = field(default_factory=set)

    @contextmanager
    def broken(self, fault: Fault, hits: Callable[[Asked], bool] = lambda _: True) -> Iterator[None]:
        """Within the block every request that `hits` picks meets the fault."""
        self._fault, self._hits = fault, hits
        try:
            yield
        finally:
            self.well()

    def well(self) -> None:
        """Ends what `broken` began."""
        self._fault = None

    @contextmanager
    def watching(self, connection: socket.socket) -> Iterator[None]:
        """Within the block `connection` carries a watch that `cut_watches` cuts."""
        self._watches.add(connection)
        try:
            yield
        finally:
            self._watches.discard(connection)

    def cut_watches(self) -> None:
        """Ends every watch, as a restarted API server does."""
        for connection in tuple(self._watches):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def fault_for(self, asked: Asked) -> Fault | None:
        """Which fault this request meets now."""
        self.asked.append(asked)
        return self._fault if self._fault is not None and self._hits(asked) else None


class Holder:
    """Holds back the first request that `picks`, or its answer, until it is let go."""

    def __init__(self, picks: Callable[[Asked], bool]) -> None:
        self._picks = picks
        self._first = threading.Lock()
        self.held = threading.Event()
        self._let_go = threading.Event()

    def __call__(self, asked: Asked) -> None:
        """Called by the proxy."""
        if self._picks(asked) and self._first.acquire(blocking=False):
            self.held.set()
            assert self._let_go.wait(LONGEST_HOLD_SECONDS)

    def let_go(self) -> None:
        """What was held goes on."""
        self._let_go.set()


class _Handler(BaseHTTPRequestHandler):
    """One request, forwarded or broken. A subclass for each proxy says to whom and how."""

    protocol_version = "HTTP/1.1"
    upstream: ClassVar[str]
    pool: ClassVar[urllib3.PoolManager]
    proxy: ClassVar[FaultyServer]

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        asked = Asked(
            self.command,
            self.path,
            authorization=self.headers.get("Authorization", ""),
            operation=self.headers.get("X-Amz-Target", ""),
        )
        fault = self.proxy.fault_for(asked) or _WHOLE
        time.sleep(fault.delay_seconds)
        self.proxy.before(asked)
        known = self.proxy.first_answers.get(self.path)
        if fault.reset == "before":
            self._cut()
        elif fault.status is not None and not fault.asks_first:
            self._answer(fault.status, fault.content_type, fault.body, fault=fault)
        elif fault.stale and known is not None:
            self._answer(known.status, known.headers.get("Content-Type", ""), known.data)
        else:
            self._forward(asked, body, fault)

    def _forward(self, asked: Asked, body: bytes | None, fault: Fault) -> None:
        watches = "watch=true" in self.path
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
        answer = self.pool.request(
            self.command,
            self.upstream + fault.asks_instead(self.path),
            headers=headers,
            body=body,
            redirect=False,
            preload_content=not watches,
        )
        if self.command == "GET" and not watches:
            self.proxy.first_answers.setdefault(self.path, answer)
        self.proxy.after(asked)
        if fault.reset == "after":
            self._cut()
        elif fault.status is not None:
            self._answer(fault.status, fault.content_type, fault.body, fault=fault)
        elif watches:
            self._stream(answer)
        else:
            content = fault.rewrites(answer.data)
            self._answer(answer.status, answer.headers.get("Content-Type", ""), content, fault=fault)

    def _answer(self, status: int, content_type: str, body: bytes, *, fault: Fault = _WHOLE) -> None:
        if fault.echoes:
            body = json.dumps({"status": "error", "error": str(dict(self.headers))}).encode()
        repeats = fault.repeats if body is fault.body else 1
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) * repeats))
        if fault.location:
            self.send_header("Location", fault.location)
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may have gone
            for _ in range(repeats):
                self.wfile.write(body[: int(len(body) * fault.keep_share)])
        self.proxy.answered += 1
        if fault.keep_share < 1.0:
            self._cut()

    def _stream(self, answer: urllib3.BaseHTTPResponse) -> None:
        """A watch: as it comes, until either side ends it or the proxy cuts it."""
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with self.proxy.watching(self.connection), contextlib.suppress(OSError):
            for chunk in answer.stream(amt=None, decode_content=False):
                self.wfile.write(chunk)
                self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None: ...


for _verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler._handle)


@contextmanager
def faulty_server(
    upstream: str, tls: ssl.SSLContext | None = None, *, address: str = "127.0.0.1"
) -> Iterator[FaultyServer]:
    """A proxy in front of `upstream` until the end of the block; it listens at `address`."""
    pool = urllib3.PoolManager(ssl_context=tls, retries=False, maxsize=8)
    proxy = FaultyServer()
    handler = type("Handler", (_Handler,), {"upstream": upstream, "pool": pool, "proxy": proxy})
    listener = ThreadingHTTPServer((address, 0), handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    proxy.url = f"http://{address}:{listener.server_address[1]}"
    try:
        yield proxy
    finally:
        proxy.cut_watches()
        listener.shutdown()
        listener.server_close()
        pool.clear()
