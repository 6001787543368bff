"""
Prometheus fails in every way it can, while there is a leak to act on.

The real controller sees it through the proxy: while it fails nothing is done and the policy says why; when it
is well again the same process goes on, and the restart happens once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode

import pytest

from tests.faults.proxy import Fault
from tests.faults.scenes import ROLLING_RESTART, Candidate, Play, Theatre

pytestmark = pytest.mark.apiserver

TIMEOUT_SECONDS = 2
LARGEST_ANSWER_BYTES = 4 * 2**20
MOST_QUERIES_IN_A_SWEEP = 80
"""A sweep of a first fill asks about forty; a failing one must not ask more."""


def error(status: int, *, content: bytes = b"") -> Fault:
    body = content or f'{{"status":"error","errorType":"x","error":"by the test: {status}"}}'.encode()
    return Fault(name=f"HTTP {status}", status=status, body=body)


def answer(name: str, body: bytes, **more: object) -> Fault:
    return Fault(name=name, status=200, body=body, **more)  # type: ignore[arg-type]


def matrix(series: list[object], **more: object) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": series}, **more}
    ).encode()


def asked_from(path: str, change: Callable[[float, float], tuple[float, float]]) -> str:
    """The same query for another span of time."""
    base, _, query = path.partition("?")
    asked = {key: value[0] for key, value in parse_qs(query).items()}
    asked["start"], asked["end"] = map(str, change(float(asked["start"]), float(asked["end"])))
    return f"{base}?{urlencode(asked)}"


def stale() -> Fault:
    """A Prometheus that takes nothing in any more; what it missed is there when it is well again."""
    since: list[float] = []

    def asks(path: str) -> str:
        if not since:
            since.append(time.time() - 60)
        return asked_from(path, lambda start, end: (min(start, since[0]), min(end, since[0])))

    return Fault(name="no news for a minute", asks_instead=asks)


def late_clock() -> Fault:
    """A Prometheus whose clock is five minutes late: what it stamps is younger than it says."""

    def asks(path: str) -> str:
        return asked_from(path, lambda start, end: (start + 300, end + 300))

    def rewrites(body: bytes) -> bytes:
        document = json.loads(body)
        for series in document["data"]["result"]:
            series["values"] = [[at - 300, value] for at, value in series["values"]]
        return json.dumps(document).encode()

    return Fault(name="its clock is late", asks_instead=asks, rewrites=rewrites)


def wrong_numbers(body: bytes) -> bytes:
    document = json.loads(body)
    for series in document["data"]["result"]:
        series["values"] = [[at, "NaN"] for at, _ in series["values"]]
    return json.dumps(document).encode()


REDIRECT = Fault(name="a redirect", status=302, body=b"", location="http://127.0.0.1:9/elsewhere")
PARTIAL = Fault(
    name="an answer of a part",
    rewrites=lambda body: body.replace(b"{", b'{"warnings":["1 store is down"],', 1),
)
FAULTS = [
    Fault(name="slower than the timeout", delay_seconds=TIMEOUT_SECONDS + 0.5),
    Fault(name="reset before the answer", reset="before"),
    Fault(name="reset after it was asked", reset="after"),
    Fault(name="half of an answer", keep_share=0.5),
    error(401, content=b"Unauthorized"),
    error(403),
    error(404, content=b"404 page not found"),
    error(429),
    error(500),
    error(503),
    answer("a page instead of JSON", b"<html>log in</html>", content_type="text/html"),
    answer("an error with status 200", b'{"status":"error","error":"by the test"}'),
    answer("a number where series belong", b'{"status":"success","data":{"result":7}}'),
    answer("a huge answer", b" " * 2**20, repeats=16),
    answer("a deep answer", b"[" * 200_000),
    PARTIAL,
    stale(),
    REDIRECT,
]
EMPTY = [
    answer("no series at all", matrix([])),
    answer("series of nobody", matrix([{"metric": {}, "values": [[1, "many"]]}])),
    Fault(name="NaN everywhere", rewrites=wrong_numbers),
]
"""
True answers of a source that has nothing. Nothing is done for it; but what it did not have when it was asked
is asked for again only once it was found stale as a whole.
"""
SHORT = (
    "slower than the timeout",
    "half of an answer",
    "HTTP 503",
    "a huge answer",
    "its clock is -300 s ahead",
)


@pytest.fixture(scope="module")
def blind(theatre: Theatre) -> Iterator[Candidate]:
    """One controller for all faults, one after the other: it is never started anew."""
    source = {
        "name": "default",
        "url": theatre.metrics.url,
        "timeout": f"{TIMEOUT_SECONDS}s",
        "sampleInterval": "5s",
        "maximumResponseBytes": str(LARGEST_ANSWER_BYTES),
    }
    with theatre.controllers(metricsSources=[source]) as (candidate,):
        candidate.start()
        yield candidate


@pytest.mark.parametrize(
    "fault",
    [pytest.param(one, id=one.name, marks=() if one.name in SHORT else pytest.mark.long) for one in FAULTS],
)
def test_nothing_is_done_while_it_fails_and_it_goes_on_by_itself(
    theatre: Theatre, blind: Candidate, fault: Fault
) -> None:
    metrics = theatre.metrics
    with metrics.broken(fault), theatre.play(ROLLING_RESTART) as play:
        does_nothing_and_says_so(play, blind)
        metrics.well()
        play.until_closed()
        play.acted_once()
        assert play.condition("MetricsAvailable")["status"] == "True"
    assert blind.running.runs, blind.running.log[-3000:]
    assert "Traceback" not in blind.running.log


def test_nothing_is_done_while_its_clock_is_late(theatre: Theatre, blind: Candidate) -> None:
    """What it has stamped wrongly stays so: when it is right again, growth has to be seen anew."""
    with theatre.metrics.broken(late_clock()), theatre.play(ROLLING_RESTART) as play:
        does_nothing_and_says_so(play, blind)


@pytest.mark.long
@pytest.mark.parametrize("fault", EMPTY, ids=lambda fault: fault.name)
def test_nothing_is_done_while_it_knows_nothing(theatre: Theatre, blind: Candidate, fault: Fault) -> None:
    with theatre.metrics.broken(fault), theatre.play(ROLLING_RESTART) as play:
        does_nothing_and_says_so(play, blind)


def does_nothing_and_says_so(play: Play, blind: Candidate) -> None:
    metrics = play.theatre.metrics
    play.until("it is said", lambda: play.condition("MetricsAvailable").get("status") == "False")
    sweeps, asked = blind.sweeps, len(metrics.asked)
    play.until("three more sweeps", lambda: blind.sweeps >= sweeps + 3)
    queries = (len(metrics.asked) - asked) / (blind.sweeps - sweeps)
    said = play.condition("MetricsAvailable")
    assert said["reason"] == "MetricsUnavailable"
    assert "'default'" in said["message"]
    assert len(said["message"]) < 1024
    assert queries < MOST_QUERIES_IN_A_SWEEP, "retries are bounded"
    assert play.incidents == []
    assert play.workload["metadata"]["generation"] == 1
