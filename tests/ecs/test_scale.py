"""A thousand services of ten tasks: how many calls a sweep makes, and what it costs."""

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from controller.decision.situation import Powers
from controller.metrics.series import BlockMatrix, ContainerKey, Signal
from controller.platforms.ecs.api import EcsApi
from controller.platforms.ecs.hosts import Hosts
from controller.platforms.ecs.inventory import EcsInventory
from controller.platforms.ecs.pace import Pace
from controller.platforms.ecs.registry import EcrTags
from controller.policy.memory_policy import EcsTarget, MemoryPolicy, Target
from controller.ports import MemoryRequest
from controller.sweep.flow import Sweeper, SweepLimits
from controller.sweep.retention import Retention
from tests.ecs.conftest import no_registry
from tests.fakes import MIB, NOW, FakeWorld, a_policy
from tests.sweep.test_flow import a_book

SERVICES, TASKS = 1000, 10
SECONDS_OF_CPU = 10.0
CALLS = 500


class ManyServices:
    """A boto3 client's face on a cluster that stands still."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        names = [f"api-{number}" for number in range(SERVICES)]
        self._services = {name: self._service(name) for name in names}
        self._tasks = {f"{name}-{task}": self._task(name, task) for name in names for task in range(TASKS)}

    def list_services(self, **asked: Any) -> dict[str, Any]:
        self.calls["list_services"] += 1
        return self._page("serviceArns", list(self._services), asked)

    def describe_services(self, **asked: Any) -> dict[str, Any]:
        self.calls["describe_services"] += 1
        assert len(asked["services"]) <= 10
        return {"services": [self._services[name] for name in asked["services"]]}

    def list_tasks(self, **asked: Any) -> dict[str, Any]:
        self.calls["list_tasks"] += 1
        return self._page("taskArns", list(self._tasks), asked)

    def describe_tasks(self, **asked: Any) -> dict[str, Any]:
        self.calls["describe_tasks"] += 1
        assert len(asked["tasks"]) <= 100
        return {"tasks": [self._tasks[name] for name in asked["tasks"]]}

    def get_task_protection(self, **asked: Any) -> dict[str, Any]:
        self.calls["get_task_protection"] += 1
        return {"protectedTasks": []}

    def describe_task_definition(self, **asked: Any) -> dict[str, Any]:
        self.calls["describe_task_definition"] += 1
        return {"taskDefinition": {"containerDefinitions": [{"name": "app", "memory": 512}]}}

    @staticmethod
    def _page(name: str, arns: list[str], asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("nextToken", 0))
        more = {"nextToken": str(start + 100)} if start + 100 < len(arns) else {}
        return {name: arns[start : start + 100], **more}

    @staticmethod
    def _service(name: str) -> dict[str, Any]:
        deployment = {
            "id": "ecs-svc/1",
            "status": "PRIMARY",
            "rolloutState": "COMPLETED",
            "taskDefinition": "api:1",
        }
        return {
            "serviceArn": f"arn:{name}",
            "serviceName": name,
            "status": "ACTIVE",
            "createdAt": NOW - timedelta(days=30),
            "desiredCount": TASKS,
            "deployments": [deployment],
            "tags": [{"key": "team", "value": "shop"}],
        }

    @staticmethod
    def _task(service: str, number: int) -> dict[str, Any]:
        return {
            "taskArn": f"{service}-{number}",
            "taskDefinitionArn": "api:1",
            "group": f"service:{service}",
            "createdAt": NOW - timedelta(hours=20),
            "startedAt": NOW - timedelta(hours=20),
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "containers": [{"name": "app", "image": "api:1"}],
        }


class FlatMemory:
    """Two days in five-minute blocks: a level with some noise."""

    keeps_history = False

    async def memory(self, request: MemoryRequest, now: Any) -> BlockMatrix:
        keys = tuple(
            ContainerKey("shop", f"api-{service}-{task}", "app")
            for service in range(SERVICES)
            for task in range(TASKS)
        )
        noise = np.random.default_rng(1).normal(0, 1, (len(keys), 576))
        floor = ((200 + noise) * MIB).astype(np.float32)
        return BlockMatrix(
            keys=keys,
            end=now.timestamp(),
            block_seconds=300.0,
            signals={
                Signal.RSS_FLOOR: floor,
                Signal.RSS_TOP: floor,
                Signal.WORKING_SET_FLOOR: floor,
                Signal.WORKING_SET_TOP: floor,
                Signal.LIMIT: np.full_like(floor, 512 * MIB),
                Signal.START_TIME: np.full_like(floor, -72000.0),
            },
        )


def the_policy() -> MemoryPolicy:
    target = EcsTarget(region="eu-west-1", cluster="prod", tags=(("team", "shop"),))
    return a_policy(target=Target(ecs=target))


async def test_sweep_over_a_thousand_services_is_cheap(capsys: pytest.CaptureFixture[str]) -> None:
    client: Any = ManyServices()
    pace = Pace(burst=10_000, per_second=10_000)
    api = EcsApi(client, client, clock=lambda: NOW, pace=pace)
    policy = the_policy()
    world = FakeWorld()
    world.inventory = EcsInventory(
        lambda _: api, lambda: [policy], lambda _: EcrTags(no_registry), lambda _: Hosts(api, client)
    )
    world.memory = FlatMemory()  # type: ignore[assignment]
    sweeper = Sweeper(world.ports, lambda: SweepLimits(powers=Powers()), Retention())

    began = time.process_time()
    census = await sweeper.sweep(a_book(policy), NOW)
    seconds = time.process_time() - began

    with capsys.disabled():
        print(
            f"\n{SERVICES} services, {SERVICES * TASKS} tasks: {seconds:.1f} s, {client.calls.total()} calls"
        )
    assert len(census.decided) == SERVICES
    assert seconds < SECONDS_OF_CPU
    assert client.calls.total() < CALLS


def test_pace_lets_a_burst_through_and_then_a_rate() -> None:
    moment, waited = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal moment
        waited.append(seconds)
        moment += seconds

    pace = Pace(burst=3, per_second=2, clock=lambda: moment, sleep=sleep)
    for _ in range(5):
        pace.wait()

    assert waited == pytest.approx([0.5, 0.5])
