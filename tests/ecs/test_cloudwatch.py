"""Memory from CloudWatch (moto's server): per task where it is published, else the service's maximum."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from controller.clients.cloudwatch import CloudWatchMemorySource
from controller.inventory.workload import Workload
from controller.metrics.series import ContainerKey, Signal
from controller.ports import MemoryRequest, MetricsUnavailable
from tests.ecs.cloud import a_client, moto_server
from tests.ecs.conftest import REF
from tests.fakes import MIB, a_replica, a_workload

WIDTH = 60
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
STARTED = NOW - timedelta(minutes=50)
REQUEST = MemoryRequest(namespaces=frozenset({"shop"}), lookback=timedelta(hours=1), blocks=60)
OWN = [{"Name": "ClusterName", "Value": "prod"}, {"Name": "ServiceName", "Value": "api"}]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def cloudwatch(moto: str) -> Any:
    import requests

    requests.post(f"{moto}/moto-api/reset", timeout=10)
    return a_client("cloudwatch", moto)


def a_service(*tasks: str) -> Workload:
    replicas = []
    for name in tasks:
        replica = a_replica(name, created_at=STARTED)
        (container,) = replica.containers
        replicas.append(replace(replica, containers=(replace(container, started_at=STARTED),)))
    return a_workload(ref=REF, replicas=tuple(replicas))


def put(client: Any, namespace: str, metric: str, more: dict[str, str], values: dict[int, float]) -> None:
    """Values by minutes ago."""
    dimensions = OWN + [{"Name": key, "Value": value} for key, value in more.items()]
    for minutes, value in values.items():
        client.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": dimensions,
                    "Timestamp": NOW - timedelta(minutes=minutes) + timedelta(seconds=10),
                    "Value": value,
                }
            ],
        )


def put_task(client: Any, task: str, values: dict[int, float]) -> None:
    of_task = {"TaskId": task, "ContainerName": "app"}
    put(client, "ECS/ContainerInsights", "ContainerMemoryUtilized", of_task, values)


def a_source(client: Any, *workloads: Workload) -> CloudWatchMemorySource:
    return CloudWatchMemorySource(lambda _: client, lambda: workloads)


async def test_each_task_has_its_own_row_in_bytes(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {3: 100, 2: 110, 1: 120})
    put_task(cloudwatch, "t2", {3: 50, 2: 50, 1: 50})

    matrix = await a_source(cloudwatch, a_service("t1", "t2")).memory(REQUEST, NOW)

    floors = matrix.signals[Signal.RSS_FLOOR]
    row = {key.pod: floors[index][-4:] / MIB for index, key in enumerate(matrix.keys)}
    assert np.array_equal(row["t1"], [np.nan, 100, 110, 120], equal_nan=True)
    assert np.array_equal(row["t2"], [np.nan, 50, 50, 50], equal_nan=True)
    assert matrix.block_seconds == WIDTH


async def test_starts_and_limits_come_from_the_inventory(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {2: 100, 1: 100})

    matrix = await a_source(cloudwatch, a_service("t1")).memory(REQUEST, NOW)

    assert matrix.signals[Signal.START_TIME][0, -1] == pytest.approx(-3000, abs=1)
    assert matrix.signals[Signal.LIMIT][0, -1] == 512 * MIB


async def test_only_what_is_new_is_asked_again(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {2: 100, 1: 101})
    source = a_source(cloudwatch, a_service("t1"))
    await source.memory(REQUEST, NOW)
    put_task(cloudwatch, "t1", {0: 102})

    matrix = await source.memory(REQUEST, NOW + timedelta(minutes=1))

    assert list(matrix.signals[Signal.RSS_FLOOR][0, -3:] / MIB) == [100, 101, 102]
    assert source.metrics_asked == 2
    assert source.spending.metrics_asked == 2


async def test_without_task_series_the_service_maximum_stands_for_every_task(cloudwatch: Any) -> None:
    put(cloudwatch, "AWS/ECS", "MemoryUtilization", {}, {2: 50, 1: 60})
    cloudwatch.put_metric_data(
        Namespace="AWS/ECS",
        MetricData=[
            {
                "MetricName": "MemoryUtilization",
                "Dimensions": OWN,
                "Timestamp": NOW - timedelta(minutes=1) + timedelta(seconds=20),
                "Value": 10,
            }
        ],
    )

    matrix = await a_source(cloudwatch, a_service("t1", "t2")).memory(REQUEST, NOW)

    assert [key.pod for key in matrix.keys] == ["t1", "t2"]
    for row in matrix.signals[Signal.RSS_FLOOR]:
        assert list(row[-2:] / MIB) == pytest.approx([256, 307.2])


async def test_service_maximum_from_before_a_task_is_not_that_tasks(cloudwatch: Any) -> None:
    put(cloudwatch, "AWS/ECS", "MemoryUtilization", {}, {55: 90, 2: 50, 1: 60})

    matrix = await a_source(cloudwatch, a_service("t1")).memory(REQUEST, NOW)

    assert np.isfinite(matrix.signals[Signal.RSS_FLOOR][0]).sum() == 2


async def test_gone_task_stays_in_the_matrix_to_be_compared_with(cloudwatch: Any) -> None:
    put_task(cloudwatch, "old", {3: 100, 2: 100})
    workloads = [a_service("old")]
    source = CloudWatchMemorySource(lambda _: cloudwatch, lambda: workloads)
    await source.memory(REQUEST, NOW)
    workloads[:] = [a_service("new")]
    put_task(cloudwatch, "new", {1: 20})

    matrix = await source.memory(REQUEST, NOW)

    assert ContainerKey("shop", "old", "app") in matrix.keys
    row = matrix.keys.index(ContainerKey("shop", "old", "app"))
    assert np.isfinite(matrix.signals[Signal.START_TIME][row]).any()


async def test_task_that_is_gone_and_left_nothing_is_forgotten(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {1: 100})
    both = a_service("t1", "silent")
    workloads = [both]
    source = CloudWatchMemorySource(lambda _: cloudwatch, lambda: workloads)
    await source.memory(REQUEST, NOW)
    workloads[:] = [a_service("t1")]
    await source.memory(REQUEST, NOW)

    silent = both.replicas[1]
    (container,) = silent.containers
    unlimited = replace(container, memory_limit_bytes=None, started_at=None)
    workloads[:] = [replace(both, replicas=(both.replicas[0], replace(silent, containers=(unlimited,))))]
    put_task(cloudwatch, "silent", {1: 50, 0: 50})
    matrix = await source.memory(REQUEST, NOW + timedelta(minutes=1))

    limit = {key.pod: matrix.signals[Signal.LIMIT][row] for row, key in enumerate(matrix.keys)}
    assert np.nanmax(limit["t1"]) == 512 * MIB
    assert np.isnan(limit["silent"]).all()


async def test_no_data_is_unavailable_and_never_healthy(cloudwatch: Any) -> None:
    with pytest.raises(MetricsUnavailable, match="no memory of these services"):
        await a_source(cloudwatch, a_service("t1")).memory(REQUEST, NOW)


async def test_old_data_is_unavailable(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {40: 100, 30: 100})

    with pytest.raises(MetricsUnavailable, match="newer than ten minutes"):
        await a_source(cloudwatch, a_service("t1")).memory(REQUEST, NOW)


async def test_service_without_tasks_is_unavailable(cloudwatch: Any) -> None:
    with pytest.raises(MetricsUnavailable, match="no task of"):
        await a_source(cloudwatch, a_service()).memory(REQUEST, NOW)


async def test_cloudwatch_that_does_not_answer_is_unavailable() -> None:
    client = a_client("cloudwatch", "http://127.0.0.1:9")

    with pytest.raises(MetricsUnavailable, match="CloudWatch"):
        await a_source(client, a_service("t1")).memory(REQUEST, NOW)


async def test_account_that_does_not_answer_blinds_no_other(
    cloudwatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    put_task(cloudwatch, "t1", {2: 100, 1: 110})
    away = a_client("cloudwatch", "http://127.0.0.1:9")
    elsewhere = replace(a_service("t2"), ref=replace(REF, name="eu-west-1/other/cart"))
    # The one that fails is asked first.
    source = CloudWatchMemorySource(
        lambda one: away if one is elsewhere else cloudwatch, lambda: (elsewhere, a_service("t1"))
    )

    matrix = await source.memory(REQUEST, NOW)

    assert matrix.keys == (ContainerKey("shop", "t1", "app"),)
    assert list(matrix.signals[Signal.RSS_FLOOR][0, -2:] / MIB) == [100, 110]
    (warning,) = [one for one in caplog.records if one.message == "no memory read"]
    assert warning.__dict__["services"] == "eu-west-1/other/cart"


async def test_rows_of_an_account_that_went_silent_go_stale(cloudwatch: Any) -> None:
    put_task(cloudwatch, "t1", {2: 100, 1: 110})
    put_task(cloudwatch, "t2", {2: 100, 1: 110})
    first, second = a_service("t1"), a_service("t2")
    clients = {id(first): cloudwatch, id(second): a_client("cloudwatch", cloudwatch.meta.endpoint_url)}
    source = CloudWatchMemorySource(lambda one: clients[id(one)], lambda: (first, second))
    await source.memory(REQUEST, NOW)
    clients[id(second)] = a_client("cloudwatch", "http://127.0.0.1:9")
    put_task(cloudwatch, "t1", {0: 120})

    matrix = await source.memory(REQUEST, NOW + timedelta(minutes=1))

    newest = {key.pod: matrix.signals[Signal.RSS_FLOOR][row, -1] for row, key in enumerate(matrix.keys)}
    assert newest["t1"] == 120 * MIB
    assert np.isnan(newest["t2"])


@pytest.mark.parametrize(
    ("lookback_hours", "sample_seconds", "period"),
    [(48, 60, 300), (1, 60, 60), (720, 60, 4500), (0.15, 5, 5), (0.15, 1, 1), (2, 10, 30)],
    ids=["two days", "an hour", "a month", "five-second samples", "one-second samples", "ten-second samples"],
)
def test_blocks_are_periods_that_cloudwatch_takes(
    lookback_hours: float, sample_seconds: int, period: int
) -> None:
    source = CloudWatchMemorySource(
        lambda _: a_client("cloudwatch", "http://127.0.0.1:9"),
        lambda: (),
        sample_interval_seconds=sample_seconds,
    )
    request = MemoryRequest(namespaces=frozenset({"shop"}), lookback=timedelta(hours=lookback_hours))

    assert source.period_seconds(request) == period


async def test_services_of_a_cluster_share_calls(cloudwatch: Any) -> None:
    services = [
        replace(a_service(f"t{number}"), ref=replace(REF, name=f"eu-west-1/prod/api-{number}"))
        for number in range(20)
    ]
    for number in range(20):
        own = {"TaskId": f"t{number}", "ContainerName": "app", "ServiceName": f"api-{number}"}
        cloudwatch.put_metric_data(
            Namespace="ECS/ContainerInsights",
            MetricData=[
                {
                    "MetricName": "ContainerMemoryUtilized",
                    "Dimensions": [{"Name": "ClusterName", "Value": "prod"}]
                    + [{"Name": key, "Value": value} for key, value in own.items()],
                    "Timestamp": NOW - timedelta(seconds=50),
                    "Value": 100 + number,
                }
            ],
        )
    calls: list[str] = []
    cloudwatch.meta.events.register("before-call.*", lambda model, **_: calls.append(model.name))

    matrix = await a_source(cloudwatch, *services).memory(REQUEST, NOW)

    assert calls == ["ListMetrics", "GetMetricData"]
    newest = {key.pod: matrix.signals[Signal.RSS_TOP][row, -1] for row, key in enumerate(matrix.keys)}
    assert newest == {f"t{number}": (100 + number) * MIB for number in range(20)}
