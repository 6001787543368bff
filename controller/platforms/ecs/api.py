"""
The ECS API of one account and region, through boto3.

Reads are paged, batched, paced and retried. What changes something is sent exactly once: botocore would
repeat a call whose answer was lost, and every forced deployment is another one. Calls block, so each runs in
a thread of a small pool of its own.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)

from controller.platforms.ecs.pace import Pace
from controller.ports import OutcomeUnknown, PlatformUnavailable, RemediationRefused

SERVICES_PER_CALL = 10
"""Of DescribeServices (API reference)."""
TASKS_PER_CALL = 100
"""Of DescribeTasks, GetTaskProtection and a page of ListTasks (API reference)."""
THROTTLED_FOR = timedelta(minutes=1)
"""How long after a refusal for too many calls the account still counts as throttled."""
FORBIDDEN_FOR = timedelta(minutes=10)
"""How long after AWS refused an act for lack of rights it is not asked again."""
NEGLIGIBLE_SKEW = timedelta(seconds=5)
"""HTTP dates are whole seconds and answers take time: less is no skew."""

_THROTTLING = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)
_FORBIDDEN = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError)

Document = dict[str, Any]


class EcsApi:
    """A few operations over plain documents. Times in them are moved onto our own clock."""

    def __init__(
        self,
        reader: BaseClient,
        writer: BaseClient,
        *,
        clock: Callable[[], datetime],
        pace: Pace | None = None,
        threads: int = 4,
    ) -> None:
        """`writer` must be configured to make one attempt only."""
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._pace = pace or Pace()
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ecs")
        self.calls: Counter[str] = Counter()
        """How often each operation was called; what botocore repeats is one call."""
        self._throttled_at: datetime | None = None
        self._forbidden: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._skew = timedelta()

    @property
    def throttled(self) -> bool:
        """Calls were refused lately because there were too many."""
        return self._throttled_at is not None and self._clock() - self._throttled_at < THROTTLED_FOR

    def forbidden(self, cluster: str, service: str) -> str:
        """What AWS said when it lately refused to let us act on a service; empty where it did not."""
        at, why = self._forbidden.get((cluster, service), (None, ""))
        return why if at is not None and self._clock() - at < FORBIDDEN_FOR else ""

    async def services(self, cluster: str, names: Sequence[str]) -> list[Document]:
        """These services with their tags, as far as they exist. Raises PlatformUnavailable."""
        found: list[Document] = []
        for some in _batches(names, SERVICES_PER_CALL):
            answer = await self._read(
                "describe_services", cluster=cluster, services=list(some), include=["TAGS"]
            )
            found += answer["services"]
        return found

    async def service_names(self, cluster: str) -> list[str]:
        """The names of all services of `cluster`. Raises PlatformUnavailable."""
        pages = self._pages("list_services", "serviceArns", cluster=cluster, maxResults=100)
        return [arn.rpartition("/")[2] async for arn in pages]

    async def tasks(self, cluster: str, service: str = "") -> list[Document]:
        """The tasks of `service`, of the whole cluster without one. Raises PlatformUnavailable."""
        chosen = {"serviceName": service} if service else {}
        arns = [arn async for arn in self._pages("list_tasks", "taskArns", cluster=cluster, **chosen)]
        return await self.described_tasks(cluster, arns)

    async def stopped_tasks(self, cluster: str, service: str) -> list[Document]:
        """Those that ECS still knows: it forgets them after about an hour. Raises PlatformUnavailable."""
        asked = {"cluster": cluster, "serviceName": service, "desiredStatus": "STOPPED"}
        arns = [arn async for arn in self._pages("list_tasks", "taskArns", **asked)]
        return await self.described_tasks(cluster, arns)

    async def described_tasks(self, cluster: str, names: Sequence[str]) -> list[Document]:
        """These tasks, stopped ones too while ECS still knows them. Raises PlatformUnavailable."""
        found: list[Document] = []
        for some in _batches(names, TASKS_PER_CALL):
            found += (await self._read("describe_tasks", cluster=cluster, tasks=list(some)))["tasks"]
        return found

    async def protections(self, cluster: str, arns: Sequence[str]) -> dict[str, datetime]:
        """Until when tasks are protected, by ARN; only those that are. Raises PlatformUnavailable."""
        found: dict[str, datetime] = {}
        for some in _batches(arns, TASKS_PER_CALL):
            answer = await self._read("get_task_protection", cluster=cluster, tasks=list(some))
            for one in answer["protectedTasks"]:
                if one.get("protectionEnabled") and one.get("expirationDate"):
                    found[one["taskArn"]] = one["expirationDate"]
        return found

    async def container_instances(self, cluster: str, arns: Sequence[str]) -> list[Document]:
        """These container instances, 100 at most. Raises PlatformUnavailable."""
        answer = await self._read(
            "describe_container_instances", cluster=cluster, containerInstances=list(arns)
        )
        found: list[Document] = answer["containerInstances"]
        return found

    async def task_definition(self, arn: str) -> Document:
        """A task definition; it never changes. Raises PlatformUnavailable."""
        definition: Document = (await self._read("describe_task_definition", taskDefinition=arn))[
            "taskDefinition"
        ]
        return definition

    async def force_deployment(self, cluster: str, service: str) -> Document:
        """Begins a deployment of the same revision. Raises RemediationRefused, OutcomeUnknown."""
        answer = await self._write(
            (cluster, service), "update_service", cluster=cluster, service=service, forceNewDeployment=True
        )
        document: Document = answer["service"]
        return document

    async def stop_task(self, cluster: str, service: str, task: str, reason: str) -> None:
        """Stops a task of `service`. Raises RemediationRefused, OutcomeUnknown."""
        await self._write((cluster, service), "stop_task", cluster=cluster, task=task, reason=reason)

    async def _pages(self, operation: str, key: str, **asked: Any) -> AsyncIterator[str]:
        following: dict[str, str] = {}
        while True:
            answer = await self._read(operation, **asked, **following)
            for one in answer[key]:
                yield one
            if not answer.get("nextToken"):
                return
            following = {"nextToken": answer["nextToken"]}

    async def _read(self, operation: str, **asked: Any) -> Document:
        self.calls[operation] += 1
        call = partial(self._blocking, self._reader, operation, asked)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except (ClientError, BotoCoreError) as error:
            raise PlatformUnavailable(f"ECS {operation}: {_short(error)}") from error

    async def _write(self, regarding: tuple[str, str], operation: str, **asked: Any) -> Document:
        self.calls[operation] += 1
        call = partial(self._blocking, self._writer, operation, asked)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                raise OutcomeUnknown(f"ECS {operation}: {_short(error)}") from error
            if _code(error) in _FORBIDDEN:
                self._forbidden[regarding] = self._clock(), f"ECS {operation}: {_short(error)}"
            raise RemediationRefused(f"ECS {operation}: {_short(error)}") from error
        except _NEVER_SENT as error:
            raise RemediationRefused(f"ECS {operation} could not be sent: {_short(error)}") from error
        except HTTPClientError as error:
            raise OutcomeUnknown(f"ECS {operation}: no answer: {_short(error)}") from error
        except BotoCoreError as error:
            raise RemediationRefused(f"ECS {operation} was not sent: {_short(error)}") from error

    def _blocking(self, client: BaseClient, operation: str, asked: Document) -> Document:
        self._pace.wait()
        try:
            answer: Document = getattr(client, operation)(**asked)
        except ClientError as error:
            if _code(error) in _THROTTLING:
                self._throttled_at = self._clock()
            raise
        metadata = answer.pop("ResponseMetadata", {})
        self._measure_skew(metadata.get("HTTPHeaders", {}).get("date"))
        moved: Document = _moved(answer, self._skew)
        return moved

    def _measure_skew(self, date: str | None) -> None:
        """How far AWS's clock is ahead of ours."""
        if date:
            skew = parsedate_to_datetime(date).astimezone(UTC) - self._clock()
            self._skew = skew if abs(skew) > NEGLIGIBLE_SKEW else timedelta()


def _moved(value: Any, skew: timedelta) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC) - skew
    if isinstance(value, dict):
        return {key: _moved(one, skew) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, skew) for one in value]
    return value


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _batches(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _short(error: Exception) -> str:
    """An error's text in one line. botocore's messages hold no credentials."""
    return " ".join(str(error).split())[:300]
