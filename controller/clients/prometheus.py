"""
Memory from Prometheus, or whatever answers like it: Thanos, Mimir, VictoriaMetrics.

A thin layer over prometheus-api-client that closes its gaps: it waits for ever by default, drops the
warnings with which an engine says that an answer is partial, and reads a body of any size. Here a partial
answer is a failure, because a tool that restarts things must not judge half of what there is.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from math import ceil, isfinite
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from controller.clients.prometheus_session import AnswerLate, AnswerRefused, PrometheusSettings, open_session
from controller.metrics.floors import FloorRing
from controller.metrics.queries import (
    HISTORY_SIGNALS,
    SIGNALS,
    increase_query,
    quantile_query,
    query,
    request_rate_query,
)
from controller.metrics.series import BlockMatrix, Signal
from controller.metrics.service_level import ServiceLevel, with_errors, with_latency
from controller.policy.memory_policy import RequestRate, Series
from controller.ports import FiringAlert, MemoryRequest, MetricsUnavailable, ServiceRequest

BLOCKS_PER_QUERY = 96
"""Blocks asked for at once while a ring is first filled: bounds the size of an answer."""

MEMORY_SIGNALS = (Signal.RSS_FLOOR, Signal.WORKING_SET_TOP)
"""At least one of these must be there and fresh."""

FRESH_BLOCKS = 3
"""A source whose newest block is older than this many blocks is blind."""

MOST_LATE_ANSWERS = 3
"""In one sweep: enough to halve a query twice, and no longer does a sweep stand still for a silent source."""

_Series = list[dict[str, Any]]
_Answer = TypeVar("_Answer")


@dataclass(slots=True, eq=False)
class _Holding:
    """A ring and how far each namespace's signals have been fetched into it."""

    ring: FloorRing
    fetched: dict[tuple[str, str], int] = field(default_factory=dict)


class PrometheusMemorySource:
    """
    A `ports.MemorySource`: fills a ring once, then asks only for what is new.

    All requests run in one thread of its own, so that the event loop never waits for them and one session
    is used by one thread only.
    """

    keeps_history = True

    def __init__(self, settings: PrometheusSettings, *, on_answer: Callable[[], None] = lambda: None) -> None:
        """`on_answer` is called after every answer, in the source's own thread: for progress lines."""
        self.settings = settings
        self._on_answer = on_answer
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"metrics-{settings.name}")
        self._client = PrometheusConnect(
            url=settings.url.rstrip("/"),
            session=open_session(settings),
            retry=Retry(
                total=2,
                # Not 0: that would turn a late answer into any other lost connection, and it is to be halved.
                read=False,
                backoff_factor=0.2,
                status_forcelist=(429, 502, 504),
                # A source may ask for an hour; the next sweep is soon enough, and must not wait for this one.
                respect_retry_after_header=False,
            ),
            timeout=settings.timeout_seconds,
        )
        self._asked_at: datetime | None = None
        self._late_answers = 0
        """Since `_asked_at`: every request of a sweep bears the sweep's own time."""
        self._holdings: dict[tuple[int, int], _Holding] = {}

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        """Blocks up to `now` for every container of the request. Raises MetricsUnavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, self._in_time, now, partial(self._refresh, request, now)
        )

    async def labels(
        self, selector: str, names: tuple[str, ...], now: datetime
    ) -> tuple[dict[str, str], ...]:
        """
        The combinations of the labels `names` that series of `selector` (PromQL) have at `now`.

        Raises MetricsUnavailable.
        """
        text = f"count by ({', '.join(names)}) ({selector})"
        loop = asyncio.get_running_loop()
        moment = int(now.timestamp())
        ask = partial(self._ask_whole, text, moment)
        result = await loop.run_in_executor(self._executor, self._in_time, now, ask)
        return tuple({str(key): str(value) for key, value in one.get("metric", {}).items()} for one in result)

    async def firing(self, now: datetime) -> tuple[FiringAlert, ...]:
        """Every alert that fires at `now`, by the series `ALERTS`. Raises MetricsUnavailable."""
        found = await self.labels('ALERTS{alertstate="firing"}', ("alertname", "namespace"), now)
        return tuple(
            FiringAlert(name=one.get("alertname", ""), namespace=one.get("namespace", "")) for one in found
        )

    def _in_time(self, now: datetime, ask: Callable[[], _Answer]) -> _Answer:
        """What `ask` answers, unless this sweep has waited in vain already. Raises MetricsUnavailable."""
        if now != self._asked_at:
            self._asked_at, self._late_answers = now, 0
        if self._late_answers >= MOST_LATE_ANSWERS:
            raise self._silent()
        return ask()

    def _silent(self) -> MetricsUnavailable:
        seconds = self.settings.timeout_seconds
        return MetricsUnavailable(f"{self} gave no answer within {seconds:g} s, {MOST_LATE_ANSWERS} times")

    async def service_level(self, request: ServiceRequest, now: datetime) -> ServiceLevel:
        """How requests were served in the window up to `now`. Raises MetricsUnavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._service_level, request, int(now.timestamp()))

    def _service_level(self, request: ServiceRequest, moment: int) -> ServiceLevel:
        # Asked within a sweep, of another time than the sweep's own: it counts with what that waited for.
        if self._late_answers >= MOST_LATE_ANSWERS:
            raise self._silent()
        level, rules = ServiceLevel(window=request.window), request.rules
        if rules.error_ratio is not None:
            requests = self._increase(rules.error_ratio.requests, request, moment)
            errors = self._increase(rules.error_ratio.errors, request, moment)
            level = with_errors(level, requests, errors)
        if rules.latency is not None:
            histogram = rules.latency.histogram
            counter = replace(histogram, metric=f"{histogram.metric}_count")
            seconds = self._number(quantile_query(rules.latency, *_asked(request)), moment)
            level = with_latency(level, self._increase(counter, request, moment), seconds)
        return level

    def _increase(self, series: Series, request: ServiceRequest, moment: int) -> float | None:
        return self._number(increase_query(series, *_asked(request)), moment)

    def _number(self, text: str, moment: int) -> float | None:
        """The one number that a query answers; None where it has no data."""
        found = self._ask_whole(text, moment)
        try:
            value = float(found[0]["values"][-1][1]) if found else None
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise MetricsUnavailable(f"{self} answered something that is no number: {error}") from error
        return value if value is not None and isfinite(value) else None

    def _ask_whole(self, text: str, moment: int) -> _Series:
        try:
            return self._ask(text, moment, moment, 60)
        except AnswerRefused as refused:
            raise MetricsUnavailable(f"{self} refused a query: {refused}") from refused

    def close(self) -> None:
        """Ends the thread and the session."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def block_seconds(self, request: MemoryRequest) -> int:
        """The block width of `request`: its share of the lookback, but at least one sample."""
        share = request.lookback.total_seconds() / request.blocks
        return max(ceil(share), ceil(self.settings.sample_interval_seconds), 1)

    def _refresh(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        if not request.namespaces:
            raise MetricsUnavailable(f"{self} was asked about no namespace")
        width = self.block_seconds(request)
        blocks = max(1, int(request.lookback.total_seconds()) // width)
        holding = self._holdings.setdefault(
            (width, blocks), _Holding(FloorRing(blocks=blocks, block_seconds=width))
        )
        end = int(now.timestamp()) // width * width
        holding.ring.advance(end)
        for signal in SIGNALS if request.blocks > HISTORY_BLOCKS else HISTORY_SIGNALS:
            self._fetch_signal(holding, signal, request.namespaces)
        for namespace, rate in request.request_rates:
            self._fetch_rate(holding, namespace, rate)
        self._check_fresh(holding, request)
        holding.ring.forget_vanished()
        return holding.ring.matrix()

    def _fetch_signal(self, holding: _Holding, signal: Signal, namespaces: Iterable[str]) -> None:
        """Asks for all namespaces with the same gap at once."""
        groups: dict[int, list[str]] = {}
        for namespace in sorted(namespaces):
            groups.setdefault(self._first_missing(holding, signal, namespace), []).append(namespace)
        for first, names in groups.items():
            self._fetch(holding.ring, signal, names, first)
            for namespace in names:
                holding.fetched[signal, namespace] = holding.ring.end

    def _fetch_rate(self, holding: _Holding, namespace: str, rate: RequestRate) -> None:
        ring = holding.ring
        mark = f"{rate.metric}{rate.match_labels}"
        first = self._first_missing(holding, mark, namespace)
        window = max(ring.block_seconds, ceil(4 * self.settings.sample_interval_seconds))
        text = request_rate_query(rate, namespace, window)
        for start, stop in _spans(first, ring.end, ring.block_seconds):
            self._fold(ring, Signal.REQUEST_RATE, self._ask(text, start, stop, ring.block_seconds))
        holding.fetched[mark, namespace] = ring.end

    def _first_missing(self, holding: _Holding, mark: str, namespace: str) -> int:
        """The end of the first block to ask for: the newest one held is asked for again."""
        ring = holding.ring
        oldest = ring.end - (ring.blocks - 1) * ring.block_seconds
        return max(oldest, holding.fetched.get((mark, namespace), oldest))

    def _fetch(self, ring: FloorRing, signal: Signal, namespaces: list[str], first: int) -> None:
        for start, stop in _spans(first, ring.end, ring.block_seconds):
            self._fetch_chunk(ring, signal, namespaces, start, stop)

    def _fetch_chunk(
        self, ring: FloorRing, signal: Signal, namespaces: list[str], start: int, stop: int
    ) -> None:
        """One query; halved by time, then by namespace, while the source refuses its size."""
        width = ring.block_seconds
        try:
            series = self._ask(query(signal, namespaces, width), start, stop, width)
        except AnswerRefused as refused:
            if stop > start:
                middle = start + (stop - start) // width // 2 * width
                self._fetch_chunk(ring, signal, namespaces, start, middle)
                self._fetch_chunk(ring, signal, namespaces, middle + width, stop)
            elif len(namespaces) > 1:
                half = len(namespaces) // 2
                self._fetch_chunk(ring, signal, namespaces[:half], start, stop)
                self._fetch_chunk(ring, signal, namespaces[half:], start, stop)
            else:
                raise MetricsUnavailable(
                    f"{self} refused even one block of namespace '{namespaces[0]}': {refused}"
                ) from refused
            return
        self._fold(ring, signal, series)

    def _fold(self, ring: FloorRing, signal: Signal, series: _Series) -> None:
        try:
            ring.fold(signal, series)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise MetricsUnavailable(
                f"{self} answered something that is no matrix of numbers: {error}"
            ) from error

    def _ask(self, text: str, start: int, stop: int, step: int) -> _Series:
        """One range query. Raises AnswerRefused where a smaller one may succeed, else MetricsUnavailable."""
        try:
            result: Any = self._client.custom_query_range(
                query=text,
                start_time=datetime.fromtimestamp(start, UTC),
                end_time=datetime.fromtimestamp(stop, UTC),
                step=str(step),
            )
        except (requests.ReadTimeout, AnswerLate) as error:
            self._late_answers += 1
            if self._late_answers >= MOST_LATE_ANSWERS:
                raise self._silent() from error
            raise AnswerRefused(f"no answer within {self.settings.timeout_seconds:g} s") from error
        except requests.ConnectTimeout as error:
            self._late_answers = MOST_LATE_ANSWERS
            raise self._silent() from error
        except MetricsUnavailable as error:
            raise MetricsUnavailable(f"{self} {error}") from error
        except PrometheusApiClientException as error:
            raise MetricsUnavailable(f"{self}: {short(error)}") from error
        except (requests.RequestException, OSError, ValueError, KeyError, TypeError) as error:
            raise MetricsUnavailable(f"{self} could not be read: {short(_cause(error))}") from error
        self._on_answer()
        if not isinstance(result, list) or not all(isinstance(one, Mapping) for one in result):
            raise MetricsUnavailable(f"{self} answered a range query with something that is no matrix")
        return result

    def _check_fresh(self, holding: _Holding, request: MemoryRequest) -> None:
        ring = holding.ring
        newest = ring.newest(MEMORY_SIGNALS)
        if newest is not None and ring.end - newest <= FRESH_BLOCKS * ring.block_seconds:
            return
        # What it could not say it may say later, and is asked for again: a hole would stay for a lookback.
        known = {key.namespace for key in ring.keys}
        holding.fetched = {
            (signal, namespace): min(end, newest)
            for (signal, namespace), end in holding.fetched.items()
            if newest is not None and namespace in known
        }
        names = ", ".join(sorted(request.namespaces))
        if newest is None:
            raise MetricsUnavailable(
                f"{self} knows no container memory (container_memory_rss or "
                f"container_memory_working_set_bytes) in {names}; is the kubelet's cAdvisor scraped?"
            )
        last = datetime.fromtimestamp(newest, UTC)
        raise MetricsUnavailable(f"{self} has no memory of {names} newer than {last:%Y-%m-%dT%H:%M:%SZ}")

    def __str__(self) -> str:
        return f"metrics source '{self.settings.name}' at {self.settings.url}"


HISTORY_BLOCKS = 240
"""Requests of so few blocks are for the time before the lookback, of which fewer signals are needed."""


MOST_REPLICAS = 100
"""So many are asked about in one query, which stands in a URL; of more, the first by name stand for all."""


def _asked(request: ServiceRequest) -> tuple[str, list[str], int]:
    """Namespace, replicas and window in seconds of a query."""
    replicas = sorted(request.replicas)[:MOST_REPLICAS]
    return request.namespace, replicas, int(request.window.total_seconds())


def short(error: Exception) -> str:
    """An error's text, without the page of HTML that a proxy may have put into it."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}…"


def _cause(error: Exception) -> Exception:
    """
    Why a request failed, without the request: its URL holds the time, and what policies are told about a
    source that stays away must not change from sweep to sweep.
    """
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return cause if isinstance(cause, Exception) else error


def _spans(first: int, last: int, width: int) -> Iterable[tuple[int, int]]:
    """Cuts the block ends from `first` to `last` into spans that one query may ask for."""
    start = first
    while start <= last:
        stop = min(start + (BLOCKS_PER_QUERY - 1) * width, last)
        yield start, stop
        start = stop + width
