"""The rest of AWS that the controller talks to: moto's server for CloudWatch, EventBridge, S3 and STS."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from tests.ecs.scheduler import CLUSTER, REGION
from tests.ecs.server import EcsStandIn

MEBIBYTE = 2**20


@contextmanager
def moto_server() -> Iterator[str]:
    """Its URL, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_answers(f"http://127.0.0.1:{port}/moto-api/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return


def aws_environment(ecs_url: str, moto_url: str) -> dict[str, str]:
    """The variables by which boto3 finds both; nothing of a real account is left in them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ENDPOINT_URL_ECS": ecs_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def a_client(service: str, url: str) -> Any:
    """A client of a test, for either server."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class ContainerInsights:
    """
    Publishes memory as Container Insights does: whole megabytes, page cache left out.

    Real Container Insights does so once a minute; here every few seconds, as a high-resolution metric.
    """

    def __init__(
        self, ecs: EcsStandIn, moto_url: str, *, seconds: float = 5.0, per_task: bool = True
    ) -> None:
        self._ecs = ecs
        self._client = a_client("cloudwatch", moto_url)
        self._seconds = seconds
        self._per_task = per_task
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ContainerInsights":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(timeout=20)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.publish()

    def publish(self) -> None:
        """One sample of everything that runs now."""
        for name, service in list(self._ecs.scheduler.services.items()):
            tasks = [one for one in service.tasks if one.status == "RUNNING" and one.running is not None]
            used = [(one, one.running.memory_bytes()) for one in tasks if one.running]
            own = [{"Name": "ClusterName", "Value": CLUSTER}, {"Name": "ServiceName", "Value": name}]
            if self._per_task:
                for task, size in used:
                    dimensions = [
                        *own,
                        {"Name": "TaskId", "Value": task.id},
                        {"Name": "ContainerName", "Value": task.program.name},
                    ]
                    self._put(
                        "ECS/ContainerInsights", "ContainerMemoryUtilized", dimensions, size // MEBIBYTE
                    )
            if used:
                percents = [100 * size / task.program.memory_bytes for task, size in used]
                self._put("AWS/ECS", "MemoryUtilization", own, max(percents))

    def _put(self, namespace: str, metric: str, dimensions: list[dict[str, str]], value: float) -> None:
        sample = {
            "MetricName": metric,
            "Dimensions": dimensions,
            "Timestamp": datetime.now(UTC),
            "Value": value,
            "StorageResolution": 1,
        }
        self._client.put_metric_data(Namespace=namespace, MetricData=[sample])


def remembered(ecs: EcsStandIn, moto: str, name: str, megabytes: tuple[int, int]) -> None:
    """Two days of a service whose tasks went from one level to the other, in whole megabytes a minute."""
    client, ended = a_client("cloudwatch", moto), datetime.now(UTC).replace(second=0, microsecond=0)
    for task in ecs.service(name).tasks:
        task.created_at = task.started_at = datetime.now(UTC) - timedelta(hours=47)
        for start in range(0, 46 * 60, 700):
            samples = []
            for minute in range(start, min(start + 700, 46 * 60), 5):
                level = megabytes[0] + (megabytes[1] - megabytes[0]) * minute / (46 * 60)
                samples.append(
                    {
                        "MetricName": "ContainerMemoryUtilized",
                        "Dimensions": [
                            {"Name": "ClusterName", "Value": "prod"},
                            {"Name": "ServiceName", "Value": name},
                            {"Name": "TaskId", "Value": task.id},
                            {"Name": "ContainerName", "Value": "app"},
                        ],
                        "Timestamp": ended - timedelta(minutes=46 * 60 - minute),
                        "Value": round(level),
                    }
                )
            client.put_metric_data(Namespace="ECS/ContainerInsights", MetricData=samples)
