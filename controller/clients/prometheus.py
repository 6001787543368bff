"""
Memory from Prometheus, or whatever answers like it: Thanos, Mimir, VictoriaMetrics.

A thin layer over prometheus-api-client that closes its gaps: it waits for ever by default, drops the
warnings with which an engine says that an answer is partial, and reads a body of any size. Here a partial
answer is a failure, because a tool that restarts things must not judge half of what there is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    fitting,
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

NAMESPACES_PER_QUERY = 4096
"""More than fit in one query by their names: only a source that refuses makes it fewer."""

MEMORY_SIGNALS = (Signal.RSS_FLOOR, Signal.WORKING_SET_TOP)
"""At least one of these must be there and fresh."""

FRESH_BLOCKS = 3
"""A source whose newest block is older than this many blocks is blind."""

MOST_LATE_ANSWERS = 6
"""
In one sweep, which stands still no longer for a silent source. What is asked next may use up half of those
that are left: one slow lookback must not take from all others the time in which they would be answered.
"""

_Series = list[dict[str, Any]]
_Answer = TypeVar("_Answer")


@dataclass(slots=True, eq=False)
class _Portion:
    """
    How many blocks or namespaces one query asks for, as the source bears it.

    It is remembered from sweep to sweep: a slow source would else be late with the same large queries
    each time. What was refused is not tried again in the same refresh.
    """

    most: int
    size: int = field(init=False)
    ceiling: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.ceiling = self.most

    def begin(self) -> None:
        """A refresh begins: the source may bear more by now."""
        self.ceiling = self.most

    def answered(self, asked: int) -> None:
        """Grows where the whole portion was asked for and answered."""
        if asked >= self.size:
            self.size = min(2 * self.size, self.ceiling)

    def refused(self, asked: int) -> bool:
        """Halves; False where there is nothing to halve."""
        if asked < 2:
            return False
        self.size = self.ceiling = asked // 2
        return True


@dataclass(slots=True, eq=False)
class _Holding:
    """A ring, how far each namespace's signals have been fetched into it, and in which portions."""

    ring: FloorRing
    fetched: dict[tuple[str, str], int] = field(default_factory=dict)
    blocks: _Portion = field(default_factory=lambda: _Portion(BLOCKS_PER_QUERY))
    namespaces: _Portion = field(default_factory=lambda: _Portion(NAMESPACES_PER_QUERY))
    rate_blocks: dict[tuple[str, str], _Portion] = field(default_factory=dict)
    """Of each request rate: it says nothing about memory how heavy somebody's counter is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a ring is filled with."""

    signal: Signal
    mark: str
    """Under which is noted how far it has been fetched."""
    text: Callable[[Sequence[str]], str]
    """PromQL for these namespaces."""
    blocks: _Portion


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
        self._late_left = MOST_LATE_ANSWERS
        """Since `_asked_at`: every request of a sweep bears the sweep's own time."""
        self._late_left_now = MOST_LATE_ANSWERS
        """Of these, for what is asked now."""
        self._holdings: dict[tuple[int, int], _Holding] = {}

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        """Blocks up to `now` for every container of the request. Raises MetricsUnavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, self._in_time, partial(self._refresh, request, now), now
        )

    async def labels(
        self, selector: str, names: tuple[str, ...], now: datetime, began_at: datetime | None = None
    ) -> tuple[dict[str, str], ...]:
        """
        The combinations of the labels `names` that series of `selector` (PromQL) have at `now`.

        `began_at`: when the sweep that asks began, if that is another time. Raises MetricsUnavailable.
        """
        text = f"count by ({', '.join(names)}) ({selector})"
        loop = asyncio.get_running_loop()
        moment = int(now.timestamp())
        ask = partial(self._ask_whole, text, moment)
        result = await loop.run_in_executor(self._executor, self._in_time, ask, began_at or now)
        return tuple({str(key): str(value) for key, value in one.get("metric", {}).items()} for one in result)

    async def firing(self, now: datetime, began_at: datetime) -> tuple[FiringAlert, ...]:
        """Every alert that fires at `now`, by the series `ALERTS`. Raises MetricsUnavailable."""
        found = await self.labels('ALERTS{alertstate="firing"}', ("alertname", "namespace"), now, began_at)
        return tuple(
            FiringAlert(name=one.get("alertname", ""), namespace=one.get("namespace", "")) for one in found
        )

    def _in_time(self, ask: Callable[[], _Answer], now: datetime | None = None) -> _Answer:
        """What `ask` answers, with its share of this sweep's late answers; `now` is the sweep's own time."""
        if now is not None and now != self._asked_at:
            self._asked_at, self._late_left = now, MOST_LATE_ANSWERS
        self._late_left_now = ceil(self._late_left / 2)
        return ask()

    def _silent(self) -> MetricsUnavailable:
        seconds = self.settings.timeout_seconds
        return MetricsUnavailable(f"{self} gave no answer within {seconds:g} s, several times")

    async def service_level(self, request: ServiceRequest, now: datetime) -> ServiceLevel:
        """How requests were served in the window up to `now`. Raises MetricsUnavailable."""
        loop = asyncio.get_running_loop()
        # Asked within a sweep, of another time than the sweep's own: it counts with what that waited for.
        ask = partial(self._service_level, request, int(now.timestamp()))
        return await loop.run_in_executor(self._executor, self._in_time, ask)

    def _service_level(self, request: ServiceRequest, moment: int) -> ServiceLevel:
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
        except AnswerLate as late:
            raise self._silent() from late
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
        holding.blocks.begin()
        holding.namespaces.begin()
        for signal in HISTORY_SIGNALS if request.history else SIGNALS:
            self._fetch_signal(holding, signal, request.namespaces)
        rate_unknown = self._fetch_rates(holding, request)
        self._check_fresh(holding, request)
        holding.ring.forget_vanished()
        return replace(holding.ring.matrix(), rate_unknown=rate_unknown)

    def _fetch_signal(self, holding: _Holding, signal: Signal, namespaces: Iterable[str]) -> None:
        text = partial(query, signal, block_seconds=holding.ring.block_seconds)
        wanted = _Wanted(signal=signal, mark=signal, text=text, blocks=holding.blocks)
        self._fill(holding, wanted, namespaces)

    def _fetch_rates(self, holding: _Holding, request: MemoryRequest) -> dict[str, str]:
        """Why request rates are not known, by namespace: one that is not does not end the others."""
        unknown: dict[str, str] = {}
        wanted = [(one, self._wanted_rate(holding, one, rate)) for one, rate in request.request_rates]
        # The slowest last: they use up the late answers.
        for namespace, rate in sorted(wanted, key=lambda pair: -pair[1].blocks.size):
            rate.blocks.begin()
            try:
                self._fill(holding, rate, [namespace])
            except MetricsUnavailable as unavailable:
                unknown[namespace] = f"the request rate of '{namespace}' is not known: {unavailable}"
        return unknown

    def _wanted_rate(self, holding: _Holding, namespace: str, rate: RequestRate) -> _Wanted:
        mark = f"{rate.metric}{rate.match_labels}"
        window = max(holding.ring.block_seconds, ceil(4 * self.settings.sample_interval_seconds))
        return _Wanted(
            signal=Signal.REQUEST_RATE,
            mark=mark,
            text=lambda _: request_rate_query(rate, namespace, window),
            blocks=holding.rate_blocks.setdefault((mark, namespace), _Portion(BLOCKS_PER_QUERY)),
        )

    def _fill(self, holding: _Holding, wanted: _Wanted, namespaces: Iterable[str]) -> None:
        """
        Asks for all that is missing, in portions that the source bears.

        What was answered is noted at once: the next sweep goes on from there where this one is given up.
        """
        ring, waiting = holding.ring, deque(self._gaps(holding, wanted.mark, namespaces))
        while waiting:
            first, names = waiting.popleft()
            asked = fitting(names)[: holding.namespaces.size]
            if len(asked) < len(names):
                waiting.append((first, names[len(asked) :]))
            blocks = min(wanted.blocks.size, (ring.end - first) // ring.block_seconds + 1)
            last = first + (blocks - 1) * ring.block_seconds
            try:
                series = self._ask(wanted.text(asked), first, last, ring.block_seconds)
            except AnswerRefused as refused:
                if not (wanted.blocks.refused(blocks) or holding.namespaces.refused(len(asked))):
                    raise MetricsUnavailable(
                        f"{self} refused even one block of namespace '{asked[0]}': {refused}"
                    ) from refused
                waiting.appendleft((first, asked))
                continue
            self._fold(ring, wanted.signal, series)
            wanted.blocks.answered(blocks)
            holding.namespaces.answered(len(asked))
            holding.fetched.update({(wanted.mark, name): last for name in asked})
            if last < ring.end:
                waiting.appendleft((last + ring.block_seconds, asked))

    def _gaps(
        self, holding: _Holding, mark: str, namespaces: Iterable[str]
    ) -> Iterable[tuple[int, Sequence[str]]]:
        """The first missing block with the namespaces that miss it."""
        gaps: dict[int, list[str]] = {}
        for namespace in sorted(namespaces):
            gaps.setdefault(self._first_missing(holding, mark, namespace), []).append(namespace)
        return gaps.items()

    def _first_missing(self, holding: _Holding, mark: str, namespace: str) -> int:
        """The end of the first block to ask for: the newest one held is asked for again."""
        ring = holding.ring
        oldest = ring.end - (ring.blocks - 1) * ring.block_seconds
        return max(oldest, holding.fetched.get((mark, namespace), oldest))

    def _fold(self, ring: FloorRing, signal: Signal, series: _Series) -> None:
        try:
            ring.fold(signal, series)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise MetricsUnavailable(
                f"{self} answered something that is no matrix of numbers: {error}"
            ) from error

    def _ask(self, text: str, start: int, stop: int, step: int) -> _Series:
        """One range query. Raises AnswerRefused where a smaller one may succeed, else MetricsUnavailable."""
        if self._late_left_now <= 0:
            raise self._silent()
        try:
            result: Any = self._client.custom_query_range(
                query=text,
                start_time=datetime.fromtimestamp(start, UTC),
                end_time=datetime.fromtimestamp(stop, UTC),
                step=str(step),
            )
        except (requests.ReadTimeout, AnswerLate) as error:
            self._late_left -= 1
            self._late_left_now -= 1
            raise AnswerLate(f"no answer within {self.settings.timeout_seconds:g} s") from error
        except requests.ConnectTimeout as error:
            self._late_left = self._late_left_now = 0
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


def _asked(request: ServiceRequest) -> tuple[str, Sequence[str], int]:
    """Namespace, replicas and window in seconds of a query; of very many the first stand for all."""
    return request.namespace, fitting(sorted(request.replicas)), int(request.window.total_seconds())


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
