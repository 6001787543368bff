"""The metrics client against a real HTTP server that misbehaves in the ways real engines do."""

import asyncio
import base64
import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.metrics.queries import HISTORY_SIGNALS, RESTARTS, SIGNALS
from controller.metrics.series import ContainerKey, Signal
from controller.policy.memory_policy import ErrorRatioRule, RequestRate, Series, VerificationRules
from controller.ports import MemoryRequest, MetricsUnavailable, ServiceRequest

NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
MIB = 2**20
Answer = tuple[int, bytes]


@dataclass
class Engine:
    """What the server says, and what it was asked."""

    url: str = ""
    answer: Callable[[str, int, int, int], Answer] | None = None
    queries: list[tuple[str, int, int]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    path_bytes: list[int] = field(default_factory=list)
    retry_after_seconds: int | None = None
    location: str = ""
    """Where it redirects to."""


def matrix(series: list[dict[str, object]], **more: object) -> Answer:
    document = {"status": "success", "data": {"resultType": "matrix", "result": series}, **more}
    return 200, json.dumps(document).encode()


def one_container(query: str, start: int, stop: int, step: int) -> Answer:
    if "container_memory_rss" not in query:
        return matrix([])
    labels = {"namespace": "shop", "pod": "api-1", "container": "app"}
    values = [[at, str((100 + (at // step) % 50) * MIB)] for at in range(start, stop + 1, step)]
    return matrix([{"metric": labels, "values": values}])


@pytest.fixture
def engine() -> Iterator[Engine]:
    state = Engine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
            state.headers.append(dict(self.headers))
            state.path_bytes.append(len(self.path))
            state.queries.append((asked["query"], int(asked["start"]), int(asked["end"])))
            assert state.answer is not None
            status, body = state.answer(
                asked["query"], int(asked["start"]), int(asked["end"]), int(asked["step"])
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if state.retry_after_seconds is not None:
                self.send_header("Retry-After", str(state.retry_after_seconds))
            if state.location:
                self.send_header("Location", state.location)
            if body[:2] == b"\x1f\x8b":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    state.answer = one_container
    yield state
    server.shutdown()
    server.server_close()


def source(engine: Engine, **changes: object) -> PrometheusMemorySource:
    return PrometheusMemorySource(PrometheusSettings(name="default", url=engine.url, **changes))


SHOP = MemoryRequest(namespaces=frozenset({"shop"}), lookback=timedelta(hours=48))


async def test_first_fill_holds_the_whole_lookback_in_blocks(engine: Engine) -> None:
    held = await source(engine).memory(SHOP, NOW)

    assert held.keys == (ContainerKey("shop", "api-1", "app"),)
    assert (held.blocks, held.block_seconds) == (576, 300.0)
    assert held.end == datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()
    newest = (100 + (int(held.end) // 300) % 50) * MIB
    assert held.signals[Signal.RSS_FLOOR][0, -1] == newest


async def test_second_look_asks_only_for_what_is_new(engine: Engine) -> None:
    asked = source(engine)
    await asked.memory(SHOP, NOW)
    engine.queries.clear()

    held = await asked.memory(SHOP, NOW + timedelta(minutes=10))

    assert all(stop - start == 600 for _, start, stop in engine.queries)
    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()


async def test_new_namespace_is_filled_from_the_beginning(engine: Engine) -> None:
    asked = source(engine)
    await asked.memory(SHOP, NOW)
    engine.queries.clear()

    both = MemoryRequest(namespaces=frozenset({"shop", "till"}), lookback=timedelta(hours=48))
    await asked.memory(both, NOW + timedelta(minutes=5))

    till = [(start, stop) for text, start, stop in engine.queries if "till" in text and "rss" in text]
    assert min(start for start, _ in till) == int(NOW.timestamp()) // 300 * 300 + 300 - 575 * 300


async def test_refused_query_is_halved_until_the_engine_accepts_it(engine: Engine) -> None:
    def few_samples(query: str, start: int, stop: int, step: int) -> Answer:
        if (stop - start) // step >= 20:
            return 422, b'{"status":"error","error":"query processing would load too many samples"}'
        return one_container(query, start, stop, step)

    engine.answer = few_samples

    held = await source(engine).memory(SHOP, NOW)

    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()


async def test_refusal_of_a_single_block_is_told_with_its_cause(engine: Engine) -> None:
    engine.answer = lambda *_: (422, b'{"status":"error","error":"too many samples"}')

    with pytest.raises(MetricsUnavailable, match=r"namespace 'shop': HTTP 422: too many samples"):
        await source(engine).memory(SHOP, NOW)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(matrix([], warnings=["2 stores did not answer"]), "in part only", id="warnings"),
        pytest.param(matrix([], isPartial=True), "in part only", id="partial answer of VictoriaMetrics"),
        pytest.param((200, b"<html>login</html>"), "not JSON", id="a login page"),
        pytest.param((200, b"[" * 200_000), "not JSON", id="deeper than any parser goes"),
        pytest.param((503, b"[" * 200_000), "refused even one block", id="a refusal as deep"),
        pytest.param(
            (200, b'{"status":"error","error":"x"}'), "status: success", id="an error with code 200"
        ),
        pytest.param((200, b'{"status":"success","data":{}}'), "data.result", id="no result"),
        pytest.param(matrix([]), "knows no container memory", id="empty"),
        pytest.param((401, b"unauthorized " * 500), "HTTP Status Code 401", id="no credentials"),
        pytest.param(
            matrix([{"metric": {"namespace": "shop", "pod": "p", "container": "c"}, "values": [[1, "x"]]}]),
            "no matrix of numbers",
            id="a word where a number belongs",
        ),
    ],
)
async def test_untrustworthy_answer_is_no_answer(engine: Engine, answer: Answer, says: str) -> None:
    engine.answer = lambda *_: answer

    with pytest.raises(MetricsUnavailable, match=re.escape(says)) as raised:
        await source(engine).memory(SHOP, NOW)

    assert "'default'" in str(raised.value)
    assert len(str(raised.value)) < 600


async def test_stale_memory_is_no_memory(engine: Engine) -> None:
    old = int((NOW - timedelta(hours=1)).timestamp())
    engine.answer = lambda query, start, stop, step: one_container(query, start, min(stop, old), step)

    with pytest.raises(MetricsUnavailable, match="newer than 2026-03-01T11:00:00Z"):
        await source(engine).memory(SHOP, NOW)


@pytest.mark.parametrize("known", [timedelta(), timedelta(hours=40)], ids=["nothing", "the past only"])
async def test_what_was_missing_is_asked_for_again_when_the_source_is_well(
    engine: Engine, known: timedelta
) -> None:
    """A Prometheus that begins empty, or takes in late what it missed, leaves no hole in the ring."""
    until = int((NOW - SHOP.lookback + known).timestamp())
    engine.answer = lambda query, start, stop, step: one_container(query, start, min(stop, until), step)
    asked = source(engine)
    for minutes in range(3):
        with pytest.raises(MetricsUnavailable):
            await asked.memory(SHOP, NOW + timedelta(minutes=minutes))

    engine.answer = one_container
    held = await asked.memory(SHOP, NOW + timedelta(minutes=5))

    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()


async def test_namespace_that_was_new_while_the_source_was_stale_is_asked_for_wholly_when_it_is_well(
    engine: Engine,
) -> None:
    asked = source(engine)
    await asked.memory(SHOP, NOW)
    both = MemoryRequest(namespaces=frozenset({"shop", "till"}), lookback=SHOP.lookback)
    engine.answer = lambda *_: matrix([])
    await asked.memory(both, NOW + timedelta(minutes=5))
    with pytest.raises(MetricsUnavailable):
        await asked.memory(both, NOW + timedelta(minutes=25))
    engine.queries.clear()

    engine.answer = one_container
    await asked.memory(both, NOW + timedelta(minutes=30))

    first = min(start for text, start, _ in engine.queries if "till" in text and "rss" in text)
    assert first < int((NOW - timedelta(hours=47)).timestamp())


async def test_small_compressed_answer_that_unfolds_to_a_huge_one_is_refused(engine: Engine) -> None:
    engine.answer = lambda *_: (200, gzip.compress(b" " * 3_000_000))

    with pytest.raises(MetricsUnavailable, match="larger than 1000000 bytes"):
        await source(engine, maximum_response_bytes=1_000_000).memory(SHOP, NOW)


async def test_silent_source_is_waited_for_six_times_in_a_sweep_whatever_is_asked_of_it(
    engine: Engine,
) -> None:
    """Each wait of 30 s in production: halved for as long as there is something to halve it was minutes."""
    woken = threading.Event()

    def silent(*_: object) -> Answer:
        woken.wait(10)
        return matrix([])

    engine.answer = silent
    asked = source(engine, timeout_seconds=0.2)
    many = MemoryRequest(namespaces=frozenset({"shop", "till", "cart"}), lookback=timedelta(hours=48))
    for request in (many, SHOP):
        with pytest.raises(MetricsUnavailable, match=r"gave no answer within 0\.2 s, several times"):
            await asked.memory(request, NOW)
    for _ in range(2):
        with pytest.raises(MetricsUnavailable, match="several times"):
            await asked.firing(NOW, NOW)
    for seconds in range(1, 30):
        # Just before each act, at another time of the same sweep.
        with pytest.raises(MetricsUnavailable, match="several times"):
            await asked.firing(NOW + timedelta(seconds=seconds), NOW)
    assert len(engine.queries) == 6

    woken.set()
    engine.answer = one_container
    held = await asked.memory(SHOP, NOW + timedelta(minutes=1))
    assert held.keys == (ContainerKey("shop", "api-1", "app"),)


def late_above(
    blocks: int, woken: threading.Event, metric: str = ""
) -> Callable[[str, int, int, int], Answer]:
    """Too slow for more blocks of this metric than that."""

    def answer(query: str, start: int, stop: int, step: int) -> Answer:
        if metric in query and (stop - start) // step + 1 > blocks:
            woken.wait(10)
        return one_container(query, start, stop, step)

    return answer


@pytest.fixture
def woken() -> Iterator[threading.Event]:
    """Set at the end, so that no thread of the server outlives its test."""
    event = threading.Event()
    yield event
    event.set()


async def test_slow_source_is_read_in_time_and_its_pace_is_remembered(
    engine: Engine, woken: threading.Event
) -> None:
    """It answers no more than 10 blocks in time; asked for 96 anew in each sweep it was never read."""
    engine.answer = late_above(10, woken)
    asked = source(engine, timeout_seconds=0.5)
    request = MemoryRequest(namespaces=frozenset({"shop"}), lookback=timedelta(minutes=1000), blocks=200)
    with pytest.raises(MetricsUnavailable, match="several times"):
        await asked.memory(request, NOW)
    assert [blocks_of(one) for one in engine.queries] == [96, 48, 24]

    held = await asked.memory(request, NOW + timedelta(seconds=1))
    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()
    engine.queries.clear()

    more = replace(request, namespaces=frozenset({"shop", "till"}))
    await asked.memory(more, NOW + timedelta(seconds=2))
    assert sum(blocks_of(one) > 10 for one in engine.queries) <= 1


def blocks_of(asked: tuple[str, int, int]) -> int:
    """Of five minutes."""
    _, start, stop = asked
    return (stop - start) // 300 + 1


async def test_what_was_answered_before_a_sweep_was_given_up_is_not_asked_for_again(engine: Engine) -> None:
    def fails_halfway(query: str, start: int, stop: int, step: int) -> Answer:
        return (500, b"{}") if len(engine.queries) > 3 else one_container(query, start, stop, step)

    engine.answer = fails_halfway
    asked = source(engine)
    with pytest.raises(MetricsUnavailable):
        await asked.memory(SHOP, NOW)
    _, _, answered = engine.queries[2]
    engine.queries.clear()
    engine.answer = one_container

    held = await asked.memory(SHOP, NOW + timedelta(seconds=1))

    assert engine.queries[0][1] == answered
    assert not np.isnan(held.signals[Signal.RSS_FLOOR]).any()


async def test_source_that_comes_back_is_soon_asked_for_much_at_once(engine: Engine) -> None:
    """After the refusals of a start a first fill block by block would be thousands of queries."""
    engine.answer = lambda *_: (503, b'{"status":"error","error":"starting"}')
    asked = source(engine)
    with pytest.raises(MetricsUnavailable, match="refused even one block"):
        await asked.memory(SHOP, NOW)
    engine.queries.clear()
    engine.answer = one_container

    await asked.memory(SHOP, NOW + timedelta(seconds=1))

    assert len(engine.queries) < 120


async def test_slow_lookback_leaves_others_the_time_to_be_answered(
    engine: Engine, woken: threading.Event
) -> None:
    engine.answer = late_above(1, woken, "[300s]")
    asked = source(engine, timeout_seconds=0.5)
    with pytest.raises(MetricsUnavailable, match="several times"):
        await asked.memory(SHOP, NOW)

    held = await asked.memory(MemoryRequest(namespaces=frozenset({"shop"}), lookback=timedelta(hours=6)), NOW)

    assert held.keys == (ContainerKey("shop", "api-1", "app"),)


@pytest.mark.parametrize("status", [429, 503])
async def test_source_that_asks_for_patience_is_asked_again_in_the_next_sweep(
    engine: Engine, status: int
) -> None:
    """Told to wait an hour, a sweep that did would look dead to the liveness probe."""
    engine.answer = lambda *_: (status, b'{"status":"error","error":"later"}')
    engine.retry_after_seconds = 3600

    async with asyncio.timeout(10):
        with pytest.raises(MetricsUnavailable):
            await source(engine).memory(SHOP, NOW)


async def test_answer_that_drips_is_a_late_one(engine: Engine) -> None:
    """Every part comes within the timeout, and the whole never does."""
    with drips(b" " * 100, seconds=0.1) as url:
        asked = PrometheusMemorySource(PrometheusSettings(name="default", url=url, timeout_seconds=0.3))
        # Each of the six answers that are waited for would take ten seconds.
        async with asyncio.timeout(10):
            with pytest.raises(MetricsUnavailable, match="several times"):
                await asked.memory(SHOP, NOW)


@contextmanager
def drips(body: bytes, *, seconds: float) -> Iterator[str]:
    """A server that sends one byte at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(seconds)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


async def test_unreachable_source_is_told_by_name_and_in_the_same_words_at_any_time() -> None:
    settings = PrometheusSettings(name="thanos", url="http://127.0.0.1:9", timeout_seconds=1)
    told = []
    for later in range(3):
        with pytest.raises(MetricsUnavailable, match=r"metrics source 'thanos'.* refused") as unavailable:
            await PrometheusMemorySource(settings).memory(SHOP, NOW + later * timedelta(hours=1))
        told.append(str(unavailable.value))
    assert len(set(told)) == 1


async def test_rotated_token_and_tenant_are_sent_with_every_request(engine: Engine, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    asked = source(engine, bearer_token_file=token, headers=(("X-Scope-OrgID", "team-a"),))
    await asked.memory(SHOP, NOW)
    token.write_text("second\n")
    await asked.memory(SHOP, NOW + timedelta(minutes=5))

    assert engine.headers[0]["Authorization"] == "Bearer first"
    assert engine.headers[-1]["Authorization"] == "Bearer second"
    assert {headers["X-Scope-OrgID"] for headers in engine.headers} == {"team-a"}


async def test_redirect_is_not_followed_with_the_sources_headers(engine: Engine) -> None:
    """It would carry the tenant, or a key in a header, to wherever the answer says."""
    engine.answer = lambda *_: (302, b"")
    engine.location = f"{engine.url}elsewhere?query=x&start=1&end=1&step=1"

    with pytest.raises(MetricsUnavailable, match=r"redirects \(HTTP 302\).*final address"):
        await source(engine, headers=(("X-Api-Key", "key"),)).memory(SHOP, NOW)

    assert len(engine.queries) == 1


@pytest.mark.parametrize("status", [400, 401, 422, 500])
async def test_server_that_echoes_the_request_gives_no_secret_away(
    engine: Engine, tmp_path: Path, status: int
) -> None:
    password = tmp_path / "password"
    password.write_text("sesame-sesame\n")
    headers = (("X-Api-Key", "key-of-the-tenant"),)

    def echo(*_: object) -> Answer:
        sent = engine.headers[-1]
        name, _, word = base64.b64decode(sent["Authorization"].partition(" ")[2]).decode().partition(":")
        said = f"{sent['Authorization']} is {name} with {word}, {sent['X-Api-Key']}"
        return status, json.dumps({"status": "error", "error": said}).encode()

    engine.answer = echo
    asked = source(engine, username="me", password_file=password, headers=headers)
    with pytest.raises(MetricsUnavailable, match="me with") as told:
        await asked.memory(SHOP, NOW)

    encoded = base64.b64encode(b"me:sesame-sesame").decode()
    assert not [one for one in ("sesame-sesame", "key-of-the-tenant", encoded) if one in str(told.value)]


async def test_request_rate_belongs_to_every_container_of_its_pod(engine: Engine) -> None:
    def with_rate(query: str, start: int, stop: int, step: int) -> Answer:
        if "http_requests_total" in query:
            values = [[at, "12.5"] for at in range(start, stop + 1, step)]
            return matrix([{"metric": {"namespace": "shop", "pod": "api-1"}, "values": values}])
        return one_container(query, start, stop, step)

    engine.answer = with_rate
    rate = RequestRate(metric="http_requests_total", match_labels=(("code", '2"0'),))
    request = MemoryRequest(
        namespaces=SHOP.namespaces, lookback=SHOP.lookback, request_rates=(("shop", rate),)
    )

    held = await source(engine).memory(request, NOW)

    assert (held.signals[Signal.REQUEST_RATE] == 12.5).all()
    assert any('code="2\\"0"' in text for text, _, _ in engine.queries)


def with_rates(
    of: str, says: Answer | None, woken: threading.Event
) -> Callable[[str, int, int, int], Answer]:
    """Two containers, and request rates; that of one namespace is answered like this, or too late."""

    def answer(query: str, start: int, stop: int, step: int) -> Answer:
        if "requests_total" in query and f'"{of}"' in query:
            if says is None:
                woken.wait(10)
            return says or matrix([])
        values = [[at, "12.5"] for at in range(start, stop + 1, step)]
        if "requests_total" not in query and "container_memory_rss" not in query:
            return matrix([])
        return matrix(
            [
                {"metric": {"namespace": one, "pod": "api-1", "container": "app"}, "values": values}
                for one in ("shop", "till")
                if f"{one}" in query
            ]
        )

    return answer


@pytest.mark.parametrize(
    ("says", "because"),
    [
        pytest.param(
            (422, b'{"status":"error","error":"too many samples"}'), "too many samples", id="refused"
        ),
        pytest.param((400, b'{"status":"error","error":"bad"}'), "HTTP Status Code 400", id="an error"),
        pytest.param(None, "several times", id="late"),
    ],
)
async def test_unknown_request_rate_ends_nothing_and_is_told_of_its_namespace(
    engine: Engine, woken: threading.Event, says: Answer | None, because: str
) -> None:
    engine.answer = with_rates("shop", says, woken)
    rate = RequestRate(metric="requests_total")
    both = MemoryRequest(
        namespaces=frozenset({"shop", "till"}),
        lookback=SHOP.lookback,
        request_rates=(("shop", rate), ("till", rate)),
    )
    asked = source(engine, timeout_seconds=0.5)
    for later in range(2):
        held = await asked.memory(both, NOW + timedelta(seconds=later))

    rates = held.signals[Signal.REQUEST_RATE]
    rows = {key.namespace: row for row, key in enumerate(held.keys)}
    assert (rates[rows["till"]] == 12.5).all()
    assert np.isnan(rates[rows["shop"]]).all()
    assert list(held.rate_unknown) == ["shop"]
    assert because in held.rate_unknown["shop"]


async def test_refused_request_rate_is_halved_like_memory(engine: Engine) -> None:
    def few_samples(query: str, start: int, stop: int, step: int) -> Answer:
        if "requests_total" in query and (stop - start) // step >= 20:
            return 422, b'{"status":"error","error":"too many samples"}'
        return with_rates("nobody", None, threading.Event())(query, start, stop, step)

    engine.answer = few_samples
    rates = (("shop", RequestRate(metric="requests_total")),)
    held = await source(engine).memory(
        MemoryRequest(namespaces=SHOP.namespaces, lookback=SHOP.lookback, request_rates=rates), NOW
    )

    assert (held.signals[Signal.REQUEST_RATE] == 12.5).all()
    assert held.rate_unknown == {}


async def test_service_of_many_replicas_is_asked_for_in_a_url_that_proxies_take(engine: Engine) -> None:
    counter = Series(metric="http_requests_total")
    pods = tuple(f"checkout-service-api-7d9f8b6c5-{index:05}-with-a-long-name" for index in range(300))
    rules = VerificationRules(error_ratio=ErrorRatioRule(requests=counter, errors=counter))
    request = ServiceRequest(namespace="shop", replicas=pods, rules=rules, window=timedelta(minutes=10))

    await source(engine).service_level(request, NOW)

    assert max(engine.path_bytes) < 7500
    assert all(pods[50] in text for text, _, _ in engine.queries)


async def test_many_namespaces_are_asked_for_in_urls_that_proxies_take(engine: Engine) -> None:
    names = frozenset({f"a-team-with-a-long-name-{index:04}" for index in range(300)} | {"shop"})

    await source(engine).memory(MemoryRequest(namespaces=names, lookback=timedelta(hours=6)), NOW)

    assert max(engine.path_bytes) < 7500
    for name in names:
        assert any(name in text for text, _, _ in engine.queries)


async def test_short_tenant_does_not_wreck_what_a_server_says(engine: Engine) -> None:
    engine.answer = lambda *_: (500, b'{"status":"error","error":"shard 1 of 12 is down"}')

    with pytest.raises(MetricsUnavailable, match="shard 1 of 12 is down"):
        await source(engine, headers=(("X-Scope-OrgID", "1"),)).memory(SHOP, NOW)


async def test_longer_request_gives_wide_blocks_of_a_longer_time(engine: Engine) -> None:
    held = await source(engine).memory(SHOP.longer(), NOW)

    assert (held.blocks, held.block_seconds) == (240, 3600.0)
    asked = {query for query, *_ in engine.queries}
    assert len(asked) == len(HISTORY_SIGNALS)
    assert [query for query in asked if RESTARTS in query]


async def test_short_lookback_is_asked_for_with_every_signal(engine: Engine) -> None:
    await source(engine).memory(replace(SHOP, lookback=timedelta(hours=12), blocks=144), NOW)

    asked = {query for query, *_ in engine.queries}
    assert len(asked) == len(SIGNALS)
    assert [query for query in asked if RESTARTS in query]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"url": "ftp://x"}, "`url`", id="other scheme"),
        pytest.param({"url": "http://me:secret@host"}, "`url`", id="password in the address"),
        pytest.param({"username": "me"}, "`passwordFile`", id="name without password"),
        pytest.param({"timeout_seconds": 0.0}, "`timeoutSeconds`", id="no time"),
        pytest.param({"timeout_seconds": float("inf")}, "`timeoutSeconds`", id="no end"),
        pytest.param({"sample_interval_seconds": float("inf")}, "`sampleIntervalSeconds`", id="no sample"),
        pytest.param({"sample_interval_seconds": float("nan")}, "`sampleIntervalSeconds`", id="no number"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, object], says: str) -> None:
    settings = PrometheusSettings(**{"name": "default", "url": "http://host", **changes})

    assert any(says in problem for problem in settings.problems())
