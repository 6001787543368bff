"""What both wirings need of ECS: one API per account and region, and the adapters over it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from botocore.client import BaseClient

from controller.clients.aws import Account, AwsClients
from controller.clients.cloudwatch import CloudWatchMemorySource, Spending
from controller.inventory.workload import Workload, WorkloadRef
from controller.platforms.ecs.api import EcsApi
from controller.platforms.ecs.context import EcsContext
from controller.platforms.ecs.hosts import Hosts
from controller.platforms.ecs.inventory import EcsInventory
from controller.platforms.ecs.registry import EcrTags
from controller.platforms.ecs.restarts import EcsRestarts
from controller.platforms.leading import Confirm
from controller.policy.memory_policy import EcsTarget, MemoryPolicy

logger = logging.getLogger(__name__)


def account_of(target: EcsTarget) -> Account:
    """Where a target is, and as whom it is looked at."""
    return Account(region=target.region, role_arn=target.assume_role_arn, external_id=target.external_id)


def _differ(before: float, now: float) -> bool:
    return abs(now - before) > 0.1 * max(before, now)


class EcsParts:
    """The ECS side of a controller. All calls of one account and region share one token bucket."""

    def __init__(
        self,
        policies: Callable[[], Sequence[MemoryPolicy]],
        *,
        confirm: Confirm,
        clock: Callable[[], datetime],
        told: Callable[[int, float], None],
        may_not_act: Callable[[str, EcsTarget], str] = lambda namespace, target: "",  # noqa: ARG005
        may_be_loopback: bool = False,
        clients: AwsClients | None = None,
    ) -> None:
        """
        `confirm` is the last look before each act: whether this process leads.

        `may_not_act` says why the policies of a namespace may not act as a target's role.

        `told` hears how many metrics CloudWatch was asked for so far, and what it costs a month in dollars.
        """
        self.clients = clients or AwsClients()
        self._clock = clock
        self._told = told
        self.spending: Spending | None = None
        """What CloudWatch costs, once it was asked."""
        self._apis: dict[Account, EcsApi] = {}
        self._hosts: dict[Account, Hosts] = {}
        self.inventory = EcsInventory(
            self._api,
            policies,
            self._tags,
            self._hosts_of,
            may_not_act=may_not_act,
            may_be_loopback=may_be_loopback,
        )
        self.restarts = EcsRestarts(self.inventory, self._api, confirm)
        self.context = EcsContext(self._api_of)

    @property
    def calls(self) -> int:
        """How many calls of the ECS API were made so far."""
        return sum(api.calls.total() for api in self._apis.values())

    async def service_names(self, target: EcsTarget) -> list[str]:
        """The names of all services of a cluster. Raises PlatformUnavailable."""
        return await self._api(target).service_names(target.cluster)

    def cloudwatch(
        self,
        *,
        sample_interval_seconds: int,
        sweep_interval: timedelta,
    ) -> CloudWatchMemorySource:
        """Memory of what the inventory saw last."""
        return CloudWatchMemorySource(
            self._cloudwatch_client,
            lambda: self.inventory.seen,
            sample_interval_seconds=sample_interval_seconds,
            sweep_interval=sweep_interval,
            on_spent=self._spent,
        )

    def _spent(self, spending: Spending) -> None:
        """Told at once; logged where the sum of a month has changed by a tenth."""
        before, self.spending = self.spending, spending
        self._told(spending.metrics_asked, spending.dollars_per_month)
        if before is None or _differ(before.dollars_per_month, spending.dollars_per_month):
            logger.info(
                "cost of CloudWatch",
                extra={
                    "dollars_per_month": round(spending.dollars_per_month, 2),
                    "metrics_per_month": spending.metrics_per_month,
                },
            )

    def _cloudwatch_client(self, workload: Workload) -> BaseClient:
        target = self.inventory.target(workload.ref)
        region = workload.ref.name.partition("/")[0]
        return self.clients.reader(account_of(target) if target else Account(region=region), "cloudwatch")

    def _api(self, target: EcsTarget) -> EcsApi:
        account = account_of(target)
        if account not in self._apis:
            reader, writer = self.clients.reader(account, "ecs"), self.clients.writer(account, "ecs")
            self._apis[account] = EcsApi(reader, writer, clock=self._clock)
        return self._apis[account]

    def _api_of(self, ref: WorkloadRef) -> EcsApi | None:
        target = self.inventory.target(ref)
        return self._api(target) if target is not None else None

    def _tags(self, target: EcsTarget) -> EcrTags:
        return EcrTags(lambda region: self.clients.reader(replace(account_of(target), region=region), "ecr"))

    def _hosts_of(self, target: EcsTarget) -> Hosts:
        account = account_of(target)
        if account not in self._hosts:
            self._hosts[account] = Hosts(self._api(target), self.clients.reader(account, "ec2"))
        return self._hosts[account]
