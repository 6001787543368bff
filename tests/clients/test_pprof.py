"""Fetching from endpoints that behave, that misbehave, and that attack."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.clients.pprof import (
    CapturedProfile,
    CaptureFailed,
    CaptureFailure,
    CaptureLimits,
    PprofClient,
    TLSTrust,
)
from controller.evidence.endpoint import EndpointRefused, PprofEndpoint, replica_endpoint
from controller.policy.memory_policy import Scheme
from tests.evidence.profile_builder import heap_profile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = heap_profile().heap("main.f", inuse=4096).gzipped()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[PprofEndpoint, list[str]]]:
    """A server that answers every path with `handler`, and the paths it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return await handler(request)

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    scheme = Scheme.HTTPS if tls else Scheme.HTTP
    try:
        yield PprofEndpoint(address="127.0.0.1", port=port, scheme=scheme), asked
    finally:
        await runner.cleanup()


def answering(body: bytes = PROFILE, status: int = 200, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return handler


async def heap_of(
    endpoint: PprofEndpoint, limits: CaptureLimits | None = None, trust: TLSTrust | None = None
):
    async with PprofClient(lambda: NOW, limits=limits, trust=trust) as client:
        return await client.heap(endpoint)


async def failure(handler: Handler, limits: CaptureLimits | None = None) -> CaptureFailed:
    async with serving(handler) as (endpoint, _):
        answer = await heap_of(endpoint, limits)
    assert isinstance(answer, CaptureFailed)
    return answer


async def test_a_profile_is_kept_as_it_was_sent():
    async with serving(answering()) as (endpoint, asked):
        answer = await heap_of(endpoint)
    assert isinstance(answer, CapturedProfile)
    assert answer.content == PROFILE
    assert len(answer.sha256) == 64
    assert answer.captured_at == NOW
    assert asked == ["/debug/pprof/heap?gc=1"]


async def test_only_plain_snapshots_are_asked_for():
    async with serving(answering()) as (endpoint, asked), PprofClient(lambda: NOW) as client:
        await client.heap(endpoint, collect_first=False)
        await client.goroutines(endpoint)
        await client.leaked_goroutines(endpoint)
    assert asked == ["/debug/pprof/heap", "/debug/pprof/goroutine", "/debug/pprof/goroutineleak"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(404, CaptureFailure.NOT_OFFERED, id="no such path"),
        pytest.param(401, CaptureFailure.AUTHENTICATION_REQUIRED, id="authentication"),
        pytest.param(403, CaptureFailure.AUTHENTICATION_REQUIRED, id="forbidden"),
        pytest.param(500, CaptureFailure.REFUSED, id="server error"),
        pytest.param(302, CaptureFailure.REDIRECTED, id="redirect"),
    ],
)
async def test_a_status_other_than_ok_is_told_by_its_reason(status: int, reason: CaptureFailure):
    assert (await failure(answering(b"no", status))).reason is reason


async def test_a_redirect_is_not_followed():
    async with serving(answering()) as (elsewhere, asked_there):
        target = f"{elsewhere.origin}/debug/pprof/heap"
        told = await failure(answering(b"", 302, Location=target))
    assert told.reason is CaptureFailure.REDIRECTED
    assert asked_there == []


async def test_a_login_page_is_no_profile():
    told = await failure(answering(b"<html>sign in</html>", 200))
    assert told.reason is CaptureFailure.NOT_A_PROFILE
    assert "is this Go" in told.message


async def test_a_body_without_end_is_cut_at_the_limit():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65536))

    told = await failure(endless, CaptureLimits(body_bytes=1 << 20))
    assert told.reason is CaptureFailure.TOO_LARGE


async def test_a_stream_that_drips_ends_with_the_total_time():
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\x1f")
            await asyncio.sleep(0.05)

    begin = asyncio.get_running_loop().time()
    told = await failure(drip, CaptureLimits(total_seconds=0.5))
    assert told.reason is CaptureFailure.TIMED_OUT
    assert asyncio.get_running_loop().time() - begin < 5


async def test_nobody_listening_is_unreachable():
    async with serving(answering()) as (endpoint, _):
        pass
    answer = await heap_of(endpoint)
    assert isinstance(answer, CaptureFailed)
    assert answer.reason is CaptureFailure.UNREACHABLE


async def test_a_connection_that_breaks_off_is_told():
    async def hang_up(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(PROFILE[:10])
        request.transport.close()
        return response

    assert (await failure(hang_up)).reason is CaptureFailure.INTERRUPTED


async def test_transport_compression_is_undone_within_the_limit():
    async with serving(answering(gzip.compress(PROFILE), **{"Content-Encoding": "gzip"})) as (endpoint, _):
        answer = await heap_of(endpoint)
    assert isinstance(answer, CapturedProfile)
    assert answer.content == PROFILE
    bomb = answering(gzip.compress(bytes(20 << 20)), **{"Content-Encoding": "gzip"})
    told = await failure(bomb, CaptureLimits(decompressed_bytes=1 << 20))
    assert told.reason is CaptureFailure.TOO_LARGE


async def test_memory_statistics_come_without_the_command_line():
    vars_page = b'{"cmdline": ["api", "--token=s3cret"], "memstats": {"HeapAlloc": 5, "Sys": 9}}'

    async def expvar(request: web.Request) -> web.Response:
        return web.Response(body=vars_page) if request.path == "/debug/vars" else web.Response(status=404)

    async with serving(expvar) as (endpoint, asked), PprofClient(lambda: NOW) as client:
        answer = await client.memory(endpoint)
    assert isinstance(answer, CapturedProfile)
    assert b"s3cret" not in answer.content
    assert b"HeapAlloc" in answer.content
    assert asked == ["/debug/memory", "/debug/vars"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b"not json", b'{"a": 1}'], ids=["deep", "text", "other"])
async def test_memory_statistics_that_are_none_are_told(body: bytes):
    async with serving(answering(body)) as (endpoint, _), PprofClient(lambda: NOW) as client:
        answer = await client.memory(endpoint)
    assert isinstance(answer, CaptureFailed)
    assert answer.reason is CaptureFailure.NOT_A_PROFILE


def certificate(host: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), private


@pytest.fixture
def tls(tmp_path) -> tuple[ssl.SSLContext, str]:
    public, private = certificate("api.shop")
    (tmp_path / "crt").write_bytes(public)
    (tmp_path / "key").write_bytes(private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    return context, public.decode()


async def test_an_unknown_authority_is_refused(tls):
    async with serving(answering(), tls[0]) as (endpoint, asked):
        answer = await heap_of(endpoint)
    assert isinstance(answer, CaptureFailed)
    assert answer.reason is CaptureFailure.TLS_REFUSED
    assert asked == []


async def test_a_known_authority_and_name_are_trusted(tls):
    trust = TLSTrust(ca_pem=tls[1], server_name="api.shop")
    async with serving(answering(), tls[0]) as (endpoint, _):
        assert isinstance(await heap_of(endpoint, trust=trust), CapturedProfile)


async def test_a_known_authority_with_another_name_is_refused(tls):
    trust = TLSTrust(ca_pem=tls[1], server_name="other.shop")
    async with serving(answering(), tls[0]) as (endpoint, _):
        answer = await heap_of(endpoint, trust=trust)
    assert isinstance(answer, CaptureFailed)
    assert answer.reason is CaptureFailure.TLS_REFUSED


@pytest.mark.parametrize(
    "path",
    [
        "/debug/pprof/../secret",
        "/debug/vars",
        "/debug/pprof?x=1",
        "/debug/pprof#",
        "//evil/debug/pprof ",
        "x",
    ],
)
def test_other_paths_are_refused(path: str):
    with pytest.raises(EndpointRefused, match="path"):
        PprofEndpoint(address="10.0.0.1", port=6060, path=path)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"),
        *("::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    ],
)
def test_addresses_that_are_no_replicas_are_refused(address: str):
    with pytest.raises(EndpointRefused, match="own address"):
        replica_endpoint(address=address, port=6060)


def test_a_name_is_no_address():
    with pytest.raises(EndpointRefused, match="IP address"):
        PprofEndpoint(address="evil.example", port=6060)
