"""
Memory of ECS tasks from CloudWatch.

Per task where Container Insights with enhanced observability publishes it (`ContainerMemoryUtilized`, whole
megabytes a minute, page cache left out: amazon-ecs-agent, agent/stats); the series are found with
ListMetrics, since a search expression that finds nothing answers "Complete". Elsewhere the service's
`MemoryUtilization`, always its `Maximum`: an average over ten tasks hides the one that leaks. That one series
stands for every task of the service, so what it shows counts as a leak of all.

A response's blocks are CloudWatch's own periods, so one number per block travels. Every metric that is asked
for costs money, so each series is asked again only when `controller.metrics.pace` says that it could have
come near danger meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import numpy as np
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from controller.inventory.workload import Container, Replica, Workload
from controller.metrics.floors import FloorRing
from controller.metrics.pace import looks
from controller.metrics.series import BlockMatrix, ContainerKey, Matrix, Signal
from controller.ports import MemoryRequest, MetricsUnavailable

logger = logging.getLogger(__name__)

QUERIES_PER_CALL = 500
POINTS_PER_CALL = 100_800
"""Of GetMetricData (CloudWatch API reference)."""
INSIGHTS = "ECS/ContainerInsights"
PER_TASK = "ContainerMemoryUtilized"
PER_SERVICE = "MemoryUtilization"
MEGABYTE = 2**20
FRESH_SECONDS = 600
"""Container Insights comes up to a few minutes late; nothing for ten minutes is no data."""
DOLLARS_PER_METRIC = 0.01 / 1000
"""Price of GetMetricData per metric asked for, in most regions (CloudWatch pricing)."""

MONTH_SECONDS = 365 * 86400 / 12
JITTER_SECONDS = 5.0
"""Sweeps do not come to the second."""

_HIGH_RESOLUTION = (1, 5, 10, 30)
"""Periods below a minute that CloudWatch takes (API reference, MetricStat)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One series, and the containers it tells of."""

    metric: Mapping[str, Any]
    scale: tuple[float, ...]
    keys: tuple[ContainerKey, ...]
    since: tuple[float, ...]
    """Start of each key's task: a service's series is not its task's before that."""


@dataclass(slots=True, eq=False)
class _Holding:
    ring: FloorRing
    fetched: dict[str, int] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    """By series: when it is asked again, in Unix time."""
    pace: dict[str, float] = field(default_factory=dict)
    """By series: the seconds between two looks."""
    asked: dict[str, tuple[ContainerKey, ...]] = field(default_factory=dict)
    """The series of the last question, and the containers they tell of."""
    by_client: dict[int, set[str]] = field(default_factory=dict)
    """The names of the series that a client answers for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a source costs."""

    metrics_asked: int
    """So far."""
    metrics_per_month: int
    """At the pace of now."""
    dollars_per_month: float
    """At list price."""
    nearest_seconds: float
    """The time between two looks at what is nearest to danger."""


class CloudWatchMemorySource:
    """A `ports.MemorySource` over the services that the inventory saw last."""

    keeps_history = False
    """Every metric that is asked for costs money."""

    def __init__(
        self,
        client: Callable[[Workload], BaseClient],
        workloads: Callable[[], Sequence[Workload]],
        *,
        sample_interval_seconds: int = 60,
        sweep_interval: timedelta = timedelta(minutes=1),
        on_spent: Callable[[Spending], None] = lambda spending: None,  # noqa: ARG005
    ) -> None:
        """
        `client` answers for a workload's account and region.

        `on_spent` is called from another thread after every question, and only then.
        """
        self._client = client
        self._workloads = workloads
        self._sample_interval_seconds = sample_interval_seconds
        self._sweep_seconds = sweep_interval.total_seconds()
        self._on_spent = on_spent
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloudwatch")
        self._holdings: dict[tuple[int, int], _Holding] = {}
        self._starts: dict[ContainerKey, float] = {}
        self._limits: dict[ContainerKey, int] = {}
        self.metrics_asked = 0
        """How many metrics were asked for: what CloudWatch bills."""

    async def memory(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        """Blocks up to `now` for every task that runs. Raises MetricsUnavailable."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._refresh, request, now)

    @property
    def spending(self) -> Spending:
        """What it costs, and will if nothing changes."""
        paces = [
            max(pace, self._sweep_seconds)
            for holding in self._holdings.values()
            for pace in holding.pace.values()
        ]
        monthly = sum(MONTH_SECONDS / pace for pace in paces)
        return Spending(
            metrics_asked=self.metrics_asked,
            metrics_per_month=round(monthly),
            dollars_per_month=monthly * DOLLARS_PER_METRIC,
            nearest_seconds=min(paces, default=0.0),
        )

    def period_seconds(self, request: MemoryRequest) -> int:
        """The block width: a period that CloudWatch takes, no shorter than the samples."""
        wanted = max(ceil(request.lookback.total_seconds() / request.blocks), self._sample_interval_seconds)
        for period in _HIGH_RESOLUTION:
            if wanted <= period:
                return period
        return ceil(wanted / 60) * 60

    def _refresh(self, request: MemoryRequest, now: datetime) -> BlockMatrix:
        width = self.period_seconds(request)
        blocks = max(1, int(request.lookback.total_seconds()) // width)
        holding = self._holdings.setdefault(
            (width, blocks), _Holding(FloorRing(blocks=blocks, block_seconds=width))
        )
        ring = holding.ring
        ring.advance(int(now.timestamp()) // width * width)
        workloads = [one for one in self._workloads() if one.ref.namespace in request.namespaces]
        self._remember(workloads)
        asked = self._fetch_all(holding, workloads, now.timestamp())
        _check_running(workloads)
        ring.forget_vanished()
        self._forget_vanished()
        matrix = self._with_inventory(ring.matrix())
        if asked:
            self._plan(holding, matrix, now.timestamp())
            _check_fresh(ring)
        return matrix

    def _plan(self, holding: _Holding, matrix: BlockMatrix, now: float) -> None:
        """When each series that was asked for just now is asked for again."""
        paces = dict(zip(matrix.keys, looks(matrix).tolist(), strict=True))
        for name, keys in holding.asked.items():
            known = [paces[key] for key in keys if key in paces]
            # Nothing came of it: it is asked again by the next sweep.
            pace = min(known, default=0.0)
            holding.due[name] = now + pace
            holding.pace[name] = pace or self._sweep_seconds
        holding.asked.clear()
        self._on_spent(self.spending)

    def _remember(self, workloads: Sequence[Workload]) -> None:
        """Starts and limits, which CloudWatch does not know, also of tasks that will be gone."""
        for workload in workloads:
            for replica, container in _containers(workload):
                key = ContainerKey(workload.ref.namespace, replica.name, container.name)
                if container.started_at is not None:
                    self._starts[key] = container.started_at.timestamp()
                if container.memory_limit_bytes:
                    self._limits[key] = container.memory_limit_bytes

    def _forget_vanished(self) -> None:
        """Starts and limits of tasks that neither run nor have anything left in a ring."""
        told = {key for holding in self._holdings.values() for key in holding.ring.keys}
        told |= {
            ContainerKey(workload.ref.namespace, replica.name, container.name)
            for workload in self._workloads()
            for replica, container in _containers(workload)
        }
        for remembered in (self._starts, self._limits):
            for key in remembered.keys() - told:
                del remembered[key]

    def _by_client(self, workloads: Sequence[Workload]) -> Iterator[tuple[BaseClient, list[Workload]]]:
        """Workloads of one account and region together, so that they share calls."""
        groups: dict[int, tuple[BaseClient, list[Workload]]] = {}
        for workload in workloads:
            client = self._client(workload)
            groups.setdefault(id(client), (client, []))[1].append(workload)
        yield from groups.values()

    def _fetch_all(self, holding: _Holding, workloads: Sequence[Workload], now: float) -> bool:
        """
        Asks every account and region for what is due; whether anything was asked for.

        One that does not answer leaves its own rows to go stale, and the others go on. Raises
        MetricsUnavailable where none answered.
        """
        asked = answered = False
        failures: list[Exception] = []
        for client, some in self._by_client(workloads):
            try:
                asked |= self._fetch(holding, some, client, now)
                answered = True
            except (ClientError, BotoCoreError, MetricsUnavailable) as error:
                names = ", ".join(one.ref.name for one in some)[:300]
                logger.warning("no memory read", extra={"services": names, "why": _brief(error)})
                failures.append(error)
        if failures and not answered:
            raise MetricsUnavailable(f"CloudWatch: {_brief(failures[0])}") from failures[0]
        return asked

    def _fetch(
        self, holding: _Holding, workloads: Sequence[Workload], client: BaseClient, now: float
    ) -> bool:
        """Asks for what is due, all series with the same gap at once; whether anything was asked for."""
        ring = holding.ring
        oldest = ring.end - (ring.blocks - 1) * ring.block_seconds
        wanted = list(self._wanted(workloads, client))
        self._forget(holding, client, wanted)
        by_gap: dict[int, list[_Wanted]] = {}
        for one in wanted:
            if holding.due.get(_name(one), 0.0) <= now + JITTER_SECONDS:
                first = max(oldest, holding.fetched.get(_name(one), oldest))
                by_gap.setdefault(first, []).append(one)
        for first, some in by_gap.items():
            points = (ring.end - first) // ring.block_seconds + 2
            size = max(1, min(QUERIES_PER_CALL, POINTS_PER_CALL // points) // 2)
            for start in range(0, len(some), size):
                self._ask(ring, client, some[start : start + size], first, now)
            holding.fetched.update((_name(one), ring.end) for one in some)
            holding.asked.update((_name(one), one.keys) for one in some)
        return bool(by_gap)

    def _forget(self, holding: _Holding, client: BaseClient, wanted: Sequence[_Wanted]) -> None:
        """Series of tasks that are gone cost nothing any more."""
        names = {_name(one) for one in wanted}
        known = holding.by_client.get(id(client), set())
        for name in known - names:
            for remembered in (holding.fetched, holding.due, holding.pace):
                remembered.pop(name, None)
        holding.by_client[id(client)] = names

    def _wanted(self, workloads: Sequence[Workload], client: BaseClient) -> Iterator[_Wanted]:
        published: dict[str, list[dict[str, str]]] = {}
        for workload in workloads:
            _, cluster, service = workload.ref.name.split("/")
            if cluster not in published:
                published[cluster] = list(_published(client, cluster))
            mine = [one for one in published[cluster] if one["ServiceName"] == service]
            yield from list(self._per_task(workload, mine)) or self._per_service(workload)

    def _per_task(self, workload: Workload, published: Sequence[dict[str, str]]) -> Iterator[_Wanted]:
        """The series of single containers, where they are published."""
        known = {(replica.name, container.name) for replica, container in _containers(workload)}
        for named in published:
            pair = (named["TaskId"], named["ContainerName"])
            if pair not in known:
                continue
            known.remove(pair)
            key = ContainerKey(workload.ref.namespace, *pair)
            dimensions = [{"Name": name, "Value": value} for name, value in named.items()]
            yield _Wanted(
                metric={"Namespace": INSIGHTS, "MetricName": PER_TASK, "Dimensions": dimensions},
                scale=(MEGABYTE,),
                keys=(key,),
                since=(self._starts.get(key, 0.0),),
            )

    def _per_service(self, workload: Workload) -> Iterator[_Wanted]:
        """The fullest task's memory, in percent, for every task of the service."""
        _, cluster, service = workload.ref.name.split("/")
        keys = []
        for replica in workload.replicas:
            limited = [one for one in replica.containers if one.memory_limit_bytes]
            largest = max(limited, key=lambda one: one.memory_limit_bytes or 0, default=None)
            if largest is not None:
                keys.append(ContainerKey(workload.ref.namespace, replica.name, largest.name))
        if keys:
            dimensions = [
                {"Name": "ClusterName", "Value": cluster},
                {"Name": "ServiceName", "Value": service},
            ]
            yield _Wanted(
                metric={"Namespace": "AWS/ECS", "MetricName": PER_SERVICE, "Dimensions": dimensions},
                scale=tuple(self._limits[key] / 100 for key in keys),
                keys=tuple(keys),
                since=tuple(self._starts.get(key, 0.0) for key in keys),
            )

    def _ask(
        self, ring: FloorRing, client: BaseClient, wanted: Sequence[_Wanted], first: int, now: float
    ) -> None:
        """One batch: the smallest and the largest value of each period, the current one's so far too."""
        queries = [
            {
                "Id": f"{stat.lower()}{number}",
                "MetricStat": {
                    "Metric": one.metric,
                    "Period": ring.block_seconds,
                    "Stat": _stat(one, stat),
                },
            }
            for number, one in enumerate(wanted)
            for stat in ("Minimum", "Maximum")
        ]
        self.metrics_asked += len(wanted)
        pages: Any = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(first - ring.block_seconds, UTC),
            EndTime=datetime.fromtimestamp(max(ring.end, ceil(now / 60) * 60), UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["StatusCode"] not in ("Complete", "PartialData"):
                    raise MetricsUnavailable(f"answered {result['StatusCode']}")
                _fold(ring, wanted, result)

    def _with_inventory(self, matrix: BlockMatrix) -> BlockMatrix:
        """The matrix with starts and limits, and memory told as resident and as working set alike."""
        nothing: Matrix = np.full((len(matrix.keys), matrix.blocks), np.nan, dtype=np.float32)
        floor = matrix.signals.get(Signal.RSS_FLOOR, nothing)
        top = matrix.signals.get(Signal.RSS_TOP, nothing)
        start, limit = np.full_like(floor, np.nan), np.full_like(floor, np.nan)
        for row, key in enumerate(matrix.keys):
            measured = np.flatnonzero(~np.isnan(floor[row]))
            if not measured.size:
                continue
            first = matrix.end - (matrix.blocks - measured[0]) * matrix.block_seconds
            start[row, measured] = min(self._starts.get(key, first) - matrix.end, 0.0)
            limit[row, measured] = self._limits.get(key, np.nan)
        signals: dict[Signal, Matrix] = {
            Signal.RSS_FLOOR: floor,
            Signal.RSS_TOP: top,
            Signal.WORKING_SET_FLOOR: floor,
            Signal.WORKING_SET_TOP: top,
            Signal.START_TIME: start,
            Signal.LIMIT: limit,
        }
        return BlockMatrix(
            keys=matrix.keys, end=matrix.end, block_seconds=matrix.block_seconds, signals=signals
        )


def _published(client: BaseClient, cluster: str) -> Iterator[dict[str, str]]:
    """The dimensions of every series of a single container in `cluster` that was lately told."""
    pages: Any = client.get_paginator("list_metrics").paginate(
        Namespace=INSIGHTS,
        MetricName=PER_TASK,
        Dimensions=[
            {"Name": "ClusterName", "Value": cluster},
            {"Name": "ServiceName"},
            {"Name": "TaskId"},
            {"Name": "ContainerName"},
        ],
        RecentlyActive="PT3H",
    )
    for page in pages:
        for metric in page["Metrics"]:
            yield {one["Name"]: one["Value"] for one in metric["Dimensions"]}


def _containers(workload: Workload) -> Iterator[tuple[Replica, Container]]:
    for replica in workload.replicas:
        for container in replica.containers:
            yield replica, container


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _name(wanted: _Wanted) -> str:
    return f"{wanted.metric['MetricName']} {wanted.keys}"


def _stat(wanted: _Wanted, stat: str) -> str:
    """Of many tasks the fullest; of one container both ends of the period."""
    return "Maximum" if wanted.metric["MetricName"] == PER_SERVICE else stat


def _fold(ring: FloorRing, wanted: Sequence[_Wanted], result: Mapping[str, Any]) -> None:
    """
    A period's timestamp is its begin, a block's its end.

    What was measured since the newest block counts towards that block's top, so that danger shows at once.
    """
    smallest = result["Id"].startswith("minimum")
    one = wanted[int(result["Id"].removeprefix("minimum" if smallest else "maximum"))]
    values: dict[int, float] = {}
    for at, value in zip(result["Timestamps"], result["Values"], strict=True):
        end = round(at.timestamp()) + ring.block_seconds
        if end <= ring.end:
            values[end] = value
        elif not smallest:
            values[ring.end] = max(value, values.get(ring.end, value))
    for key, scale, since in zip(one.keys, one.scale, one.since, strict=True):
        points = [[end, value * scale] for end, value in values.items() if end >= since]
        labels = {"namespace": key.namespace, "pod": key.pod, "container": key.container}
        signal = Signal.RSS_FLOOR if smallest else Signal.RSS_TOP
        ring.fold(signal, [{"metric": labels, "values": points}])


def _check_running(workloads: Sequence[Workload]) -> None:
    if not any(workload.replicas for workload in workloads):
        names = ", ".join(workload.ref.name for workload in workloads) or "any service"
        raise MetricsUnavailable(f"no task of {names} runs")


def _check_fresh(ring: FloorRing) -> None:
    newest = ring.newest((Signal.RSS_FLOOR, Signal.RSS_TOP))
    if newest is None or ring.end - newest > max(FRESH_SECONDS, 3 * ring.block_seconds):
        raise MetricsUnavailable(
            "CloudWatch has no memory of these services newer than ten minutes; are `MemoryUtilization` of "
            "the service or Container Insights with enhanced observability there?"
        )
