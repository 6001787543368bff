"""
Addresses of the EC2 instances that tasks run on, for tasks without a network interface of their own.

In `bridge` and `host` mode a task is reached at its container instance's private address, at the port that
its network bindings name. Asked only for such tasks, and once per instance: an instance keeps its primary
private address for as long as it exists. Without the right to ask no address is known, and no profile taken.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from controller.platforms.ecs.api import Document, EcsApi
from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)

INSTANCES_PER_CALL = 100
"""Of DescribeContainerInstances (API reference); DescribeInstances takes more."""


class Hosts:
    """The container instances of one account and region."""

    def __init__(self, api: EcsApi, ec2: BaseClient) -> None:
        self._api = api
        self._ec2: Any = ec2
        self._known: dict[str, str] = {}
        self._told = ""

    async def addresses(self, cluster: str, tasks: Iterable[Document]) -> Mapping[str, str]:
        """Private addresses by container instance, of the tasks that are reached through theirs."""
        arns = {one["containerInstanceArn"] for one in tasks if _needs_host(one)}
        unknown = sorted(arns - self._known.keys())
        for start in range(0, len(unknown), INSTANCES_PER_CALL):
            await self._ask(cluster, unknown[start : start + INSTANCES_PER_CALL])
        return {arn: self._known[arn] for arn in arns if arn in self._known}

    async def _ask(self, cluster: str, arns: list[str]) -> None:
        try:
            instances = await self._api.container_instances(cluster, arns)
            by_id = {
                one["ec2InstanceId"]: one["containerInstanceArn"]
                for one in instances
                if "ec2InstanceId" in one
            }
            addresses = await asyncio.to_thread(self._private, sorted(by_id)) if by_id else {}
        except (PlatformUnavailable, ClientError, BotoCoreError) as error:
            # Only profiles depend on it: the services are judged all the same.
            self._tell(str(error)[:300])
            return
        self._known.update((by_id[name], address) for name, address in addresses.items())

    def _tell(self, why: str) -> None:
        """Once, as long as it is the same."""
        if why != self._told:
            logger.warning("no address of container instances", extra={"why": why})
        self._told = why

    def _private(self, names: list[str]) -> dict[str, str]:
        pages = self._ec2.get_paginator("describe_instances").paginate(InstanceIds=names)
        return {
            str(instance["InstanceId"]): str(instance["PrivateIpAddress"])
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            if instance.get("PrivateIpAddress")
        }


def _needs_host(task: Document) -> bool:
    """It runs on an instance and has bound ports there."""
    return bool(task.get("containerInstanceArn")) and any(
        one.get("networkBindings") for one in task.get("containers", ())
    )
