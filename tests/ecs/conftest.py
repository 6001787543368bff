"""A stand-in without processes and the adapters over it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from controller.decision.mechanism import Choice, Mechanism
from controller.decision.situation import Captured, Situation
from controller.inventory.workload import Workload
from controller.platforms.ecs.api import EcsApi
from controller.platforms.ecs.hosts import Hosts
from controller.platforms.ecs.inventory import EcsInventory
from controller.platforms.ecs.pace import Pace
from controller.platforms.ecs.reading import service_ref
from controller.platforms.ecs.registry import EcrTags
from controller.platforms.ecs.restarts import EcsRestarts
from controller.policy.memory_policy import DetectionRules, EcsTarget, MemoryPolicy, Target
from controller.remediation.order import Order, order_remediation
from tests.ecs import scheduler
from tests.ecs.scheduler import now
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service
from tests.ecs.tasks import Pretence
from tests.ecs.waiting import until
from tests.fakes import a_judgement, a_policy

TARGET = EcsTarget(region="eu-west-1", cluster="prod", services=("api",))
REF = service_ref("shop", "eu-west-1", "prod", "api")

SESSION = boto3.Session()
"""One for all, so that the model of the service is read once."""


@pytest.fixture(autouse=True)
def quick_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "DRAIN", timedelta(seconds=0.1))


@pytest.fixture
def ecs() -> Iterator[EcsStandIn]:
    with EcsStandIn(Pretence()) as standin:
        yield standin


def a_client(ecs: EcsStandIn, attempts: int = 1) -> Any:
    return SESSION.client(
        "ecs",
        endpoint_url=ecs.url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=2, read_timeout=5
        ),
    )


def an_ecs_policy(**changes: Any) -> MemoryPolicy:
    """No minimum age: the stand-in's tasks are seconds old."""
    rules = DetectionRules(minimum_age=timedelta())
    return a_policy(target=Target(ecs=TARGET, containers=("app",)), detection=rules, **changes)


def no_registry(region: str) -> Any:
    raise AssertionError(f"nothing of these tests is in ECR of {region}")


@dataclass
class Adapters:
    """What the controller would have, over one stand-in."""

    ecs: EcsStandIn
    policies: list[MemoryPolicy] = field(default_factory=lambda: [an_ecs_policy()])
    clock: Callable[[], datetime] = now
    registry: Callable[[str], Any] = no_registry
    ec2: Any = None
    may_not_act: Callable[[str, EcsTarget], str] = lambda namespace, target: ""
    leads: bool = True

    def __post_init__(self) -> None:
        self.client = a_client(self.ecs)
        self.api = EcsApi(
            a_client(self.ecs, attempts=3),
            self.client,
            clock=self.clock,
            pace=Pace(burst=1000, per_second=1000),
        )
        self.tags = EcrTags(self.registry)
        self.hosts = Hosts(self.api, self.ec2)
        self.inventory = EcsInventory(
            lambda _: self.api,
            lambda: self.policies,
            lambda _: self.tags,
            lambda _: self.hosts,
            may_not_act=self.may_not_act,
            may_be_loopback=True,
        )
        self.restarts = EcsRestarts(self.inventory, lambda _: self.api, self.confirm)

    async def confirm(self) -> bool:
        return self.leads

    async def workload(self) -> Workload:
        workload = await self.inventory.workload(REF)
        assert workload is not None
        return workload

    async def situation(self, leaking: int = 3) -> Situation:
        """The service as it is, the first `leaking` of its tasks near the threshold."""
        workload = await self.workload()
        judgement = a_judgement(workload)
        names = [one.name for one in workload.replicas]
        assessments = tuple(
            one
            if names.index(one.key.pod) < leaking
            else replace(
                one,
                verdict=type(one.verdict).HEALTHY,
                used_bytes=one.young_floor_bytes,
                crossing=None,
                growth=None,
            )
            for one in judgement.assessments
        )
        judgement = replace(
            judgement,
            assessments=tuple(replace(one, at=now()) for one in assessments),
            worst=replace(judgement.worst, at=now()),
            leaking_replicas=tuple(names[:leaking]),
        )
        return Situation(
            policy=self.policies[0],
            workload=workload,
            judgement=judgement,
            now=now() + timedelta(minutes=0),
            captured=Captured.LATE,
            kept_heap=True,
        )

    async def order(self, *replicas: str, issued_at: datetime | None = None) -> Order:
        workload = await self.workload()
        mechanism = Mechanism.REPLACE if replicas else Mechanism.ROLLING_RESTART
        return order_remediation(
            workload,
            Choice(mechanism=mechanism, because="they leak", replicas=replicas),
            incident="api-0a1b2c3d4e",
            memory_before_bytes=1,
            now=issued_at or now(),
        )


@pytest.fixture
def adapters(ecs: EcsStandIn) -> Adapters:
    a_leaking_service(a_client(ecs))
    until(lambda: ecs.settled("api"))
    return Adapters(ecs)
