"""
Takes snapshots from one replica's pprof endpoint, within bounds.

Plain snapshots only: `?seconds=` makes the replica hold two of them, and `goroutine?debug=2` stops the world
and may need more memory than a replica at its limit has (golang#50794, cockroach#14602).
"""

import asyncio
import hashlib
import ssl
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

import aiohttp

from controller.evidence.endpoint import PprofEndpoint
from controller.evidence.kept import FileKind
from controller.evidence.memstats import memstats_json, read_memstats
from controller.evidence.rejection import ProfileRejected, RejectionReason
from controller.evidence.runtime_metrics import memory_metrics, read_runtime_metrics
from controller.policy.memory_policy import Scheme

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 64 << 10
_HEADER_BYTES = 16 << 10
_GZIP_OR_ZLIB_WINDOW = 47  # zlib: 15 bits, either header


class CaptureFailure(StrEnum):
    """The fixed list of reasons."""

    UNREACHABLE = "Unreachable"
    TLS_REFUSED = "TLSRefused"
    TIMED_OUT = "TimedOut"
    TOO_LARGE = "TooLarge"
    REDIRECTED = "Redirected"
    NOT_OFFERED = "NotOffered"
    AUTHENTICATION_REQUIRED = "AuthenticationRequired"
    REFUSED = "Refused"
    NOT_A_PROFILE = "NotAProfile"
    INTERRUPTED = "Interrupted"


_METRICS_PATHS = ("/metrics", "/actuator/prometheus")
_TRY_ELSEWHERE = {CaptureFailure.NOT_OFFERED, CaptureFailure.NOT_A_PROFILE}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedProfile:
    """One file, as it is kept."""

    kind: FileKind
    content: bytes
    sha256: str
    captured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFailed:
    """Why there is no file."""

    kind: FileKind
    reason: CaptureFailure
    message: str


Capture = CapturedProfile | CaptureFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLimits:
    """How much one snapshot may cost."""

    body_bytes: int = 16 << 20
    """Go's own profiles are tens of kilobytes to a few megabytes; the controller holds some at once."""
    decompressed_bytes: int = 16 << 20
    """Of a transport encoding; the profile's own compression stays on."""
    total_seconds: float = 30.0
    connect_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSTrust:
    """How an HTTPS replica proves who it is. Without a CA the system's are used."""

    ca_pem: str | None = None
    server_name: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """A client context for it. Raises ssl.SSLError for a bad CA."""
        context = ssl.create_default_context(cadata=self.ca_pem)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.server_name is None:
            context.check_hostname = True  # against the address: pods' certificates may carry it
        return context


class PprofClient:
    """Fetches from the endpoints it is given, and from nothing they point to."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        limits: CaptureLimits | None = None,
        trust: TLSTrust | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or CaptureLimits()
        self._trust = trust or TLSTrust()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Opens the connection pool: no cookies, no proxy, no transport decompression, no reuse."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False),
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()

    async def heap(self, endpoint: PprofEndpoint, *, collect_first: bool = True) -> Capture:
        """
        The heap profile; after a garbage collection, unless there is no headroom for one.

        With a collection, baseline and now are alike: what is in use is what is reachable.
        """
        query = "?gc=1" if collect_first else ""
        return await self._profile(FileKind.HEAP, endpoint, f"{endpoint.path}/heap{query}")

    async def goroutines(self, endpoint: PprofEndpoint) -> Capture:
        """Goroutines grouped by stack."""
        return await self._profile(FileKind.GOROUTINE, endpoint, f"{endpoint.path}/goroutine")

    async def leaked_goroutines(self, endpoint: PprofEndpoint) -> Capture:
        """Goroutines the collector proved blocked for ever (Go 1.27, 1.26 by experiment); else NotOffered."""
        return await self._profile(FileKind.GOROUTINE_LEAK, endpoint, f"{endpoint.path}/goroutineleak")

    async def memory(self, endpoint: PprofEndpoint) -> Capture:
        """MemStats from `/debug/memory`, else from expvar; only its numbers are kept."""
        paths = [f"{endpoint.debug_path}/{name}" for name in ("memory", "vars")]
        return await self._first_offered(FileKind.MEMORY, endpoint, paths, self._memory)

    async def runtime_metrics(self, endpoint: PprofEndpoint) -> Capture:
        """The program's own metrics, where exporters usually offer them; what tells of memory is kept."""
        return await self._first_offered(FileKind.METRICS, endpoint, _METRICS_PATHS, self._metrics)

    async def _first_offered(
        self, kind: FileKind, endpoint: PprofEndpoint, paths: Sequence[str], read: Callable[[bytes], Capture]
    ) -> Capture:
        """What the first of these paths has that can be read; else why that which answered cannot be."""
        told: CaptureFailed | None = None
        for path in paths:
            body = await self._get(kind, endpoint, path)
            answer = body if isinstance(body, CaptureFailed) else await asyncio.to_thread(read, body)
            if isinstance(answer, CapturedProfile) or answer.reason not in _TRY_ELSEWHERE:
                return answer
            if told is None or told.reason is CaptureFailure.NOT_OFFERED:
                told = answer
        assert told is not None  # noqa: S101  (there is at least one path)
        return told

    def _metrics(self, body: bytes) -> Capture:
        try:
            read_runtime_metrics(body)
            return self._kept(FileKind.METRICS, memory_metrics(body))
        except ProfileRejected as rejected:
            return _not_usable(FileKind.METRICS, rejected)

    def _memory(self, body: bytes) -> Capture:
        try:
            return self._kept(FileKind.MEMORY, memstats_json(read_memstats(body)))
        except ProfileRejected as rejected:
            return _not_usable(FileKind.MEMORY, rejected)

    async def _profile(self, kind: FileKind, endpoint: PprofEndpoint, target: str) -> Capture:
        body = await self._get(kind, endpoint, target)
        if isinstance(body, CaptureFailed):
            return body
        if not body.startswith(_GZIP_MAGIC):
            return CaptureFailed(
                kind=kind,
                reason=CaptureFailure.NOT_A_PROFILE,
                message=f"{endpoint.origin}{target} did not answer with a gzipped profile: is this Go?",
            )
        return self._kept(kind, body)

    def _kept(self, kind: FileKind, content: bytes) -> CapturedProfile:
        return CapturedProfile(
            kind=kind,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            captured_at=self._clock(),
        )

    async def _get(self, kind: FileKind, endpoint: PprofEndpoint, target: str) -> bytes | CaptureFailed:
        url = endpoint.origin + target
        reason, detail = CaptureFailure.UNREACHABLE, ""
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await self._body(endpoint, target)
        except _Unwanted as unwanted:
            reason, detail = unwanted.reason, str(unwanted)
        except TimeoutError:
            reason, detail = CaptureFailure.TIMED_OUT, f"no answer within {self._limits.total_seconds:g} s"
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            reason, detail = CaptureFailure.TLS_REFUSED, _one_line(error)
        except aiohttp.ClientConnectorError as error:
            detail = _one_line(error.os_error)
        except (aiohttp.ClientError, OSError) as error:
            reason, detail = CaptureFailure.INTERRUPTED, _one_line(error)
        return CaptureFailed(kind=kind, reason=reason, message=f"{url}: {detail}")

    async def _body(self, endpoint: PprofEndpoint, target: str) -> bytes:
        if self._session is None:
            raise RuntimeError("use `async with PprofClient(...)`")
        secure = endpoint.scheme is Scheme.HTTPS
        async with self._session.get(
            endpoint.origin + target,
            allow_redirects=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "bilgepump"},
            ssl=self._trust.context() if secure else True,
            server_hostname=self._trust.server_name if secure else None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
        ) as response:
            _check_status(response)
            return _plain(response, await self._bounded(response), self._limits)

    async def _bounded(self, response: aiohttp.ClientResponse) -> bytes:
        most = self._limits.body_bytes
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > most:
                raise _Unwanted(CaptureFailure.TOO_LARGE, f"more than {most} bytes")
        return bytes(body)


class _Unwanted(Exception):
    """An answer that is not read further."""

    def __init__(self, reason: CaptureFailure, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    if 300 <= status < 400:
        raise _Unwanted(CaptureFailure.REDIRECTED, f"HTTP {status}: redirects are not followed")
    if status in (401, 403, 407):
        raise _Unwanted(CaptureFailure.AUTHENTICATION_REQUIRED, f"HTTP {status}: it asks who we are")
    if status in (404, 405, 410, 501):
        raise _Unwanted(CaptureFailure.NOT_OFFERED, f"HTTP {status}: not offered there")
    raise _Unwanted(CaptureFailure.REFUSED, f"HTTP {status}")


def _plain(response: aiohttp.ClientResponse, body: bytes, limits: CaptureLimits) -> bytes:
    """Undoes a transport encoding that a middleware added although none was accepted."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _Unwanted(CaptureFailure.NOT_A_PROFILE, f"sent as '{_one_line(encoding)}', which is not read")
    try:
        plain = zlib.decompressobj(_GZIP_OR_ZLIB_WINDOW).decompress(body, limits.decompressed_bytes + 1)
    except zlib.error:
        raise _Unwanted(CaptureFailure.NOT_A_PROFILE, "its transport compression is damaged") from None
    if len(plain) > limits.decompressed_bytes:
        raise _Unwanted(
            CaptureFailure.TOO_LARGE, f"decompresses to more than {limits.decompressed_bytes} bytes"
        )
    return plain


def _not_usable(kind: FileKind, rejected: ProfileRejected) -> CaptureFailed:
    too_large = rejected.reason is RejectionReason.TOO_LARGE
    reason = CaptureFailure.TOO_LARGE if too_large else CaptureFailure.NOT_A_PROFILE
    return CaptureFailed(kind=kind, reason=reason, message=str(rejected))


def _one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return "".join(char for char in text if char.isprintable())[:200] or type(error).__name__
