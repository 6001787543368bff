"""Worlds in which something leaks, one per mechanism, and what must be true of each when it is over."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from controller.inventory.workload import Platform, Replica, Workload, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.platforms.ecs.restarts import EcsRestarts
from controller.policy.memory_policy import (
    DetectionRules,
    EcsTarget,
    MemoryPolicy,
    RemediationRules,
    Target,
    VerificationRules,
)
from tests.fakes import MIB, NOW, REF, FakeWorld, a_policy, a_replica, a_workload

MINUTE = timedelta(minutes=1)
ECS_REF = WorkloadRef(Platform.ECS, "shop", "Service", "eu-west-1/prod/api")
BORN = NOW - timedelta(hours=20)


def a_quick_policy(**changes: Any) -> MemoryPolicy:
    rules = {
        "detection": DetectionRules(minimum_age=timedelta(minutes=30)),
        "remediation": RemediationRules(lead_time=timedelta(minutes=90)),
        "verification": VerificationRules(
            progress_deadline=timedelta(minutes=15), soak=timedelta(minutes=10)
        ),
    }
    return a_policy(**{**rules, **changes})


def an_ecs_policy(**changes: Any) -> MemoryPolicy:
    target = Target(ecs=EcsTarget(region="eu-west-1", cluster="prod", services=("api",)))
    return a_quick_policy(target=target, **changes)


def a_world(ref: WorkloadRef = REF, *, leaking: int, of: int, **changes: Any) -> FakeWorld:
    """The first `leaking` of its replicas climbed in a straight line for 20 h and are near the threshold."""
    replicas = tuple(a_replica(f"api-{index}") for index in range(of))
    workload = a_workload(
        ref=ref,
        replicas=replicas,
        desired_replicas=of,
        ready_replicas=of,
        template_revision="r1",
        **changes,
    )
    world = FakeWorld(workload)
    for index, replica in enumerate(replicas):
        levels = [60 * MIB, 352 * MIB] if index < leaking else [60 * MIB, 61 * MIB]
        world.memory.levels[ContainerKey("shop", replica.name, "app")] = (BORN, levels)
    return world


def an_ecs_world(*, leaking: int, of: int) -> FakeWorld:
    """The same on ECS: the real adapter over a stand-in for the account."""
    world = a_world(ECS_REF, leaking=leaking, of=of)
    account = FakeAccount(world)
    world.inventory.before_look = account.reveal
    world.remediator = EcsRestarts(
        account,  # type: ignore[arg-type]
        lambda _target: account,  # type: ignore[arg-type,return-value]
        world.leadership.confirm,
    )
    world.acts = account.acts
    return world


class FakeAccount:
    """
    What `EcsRestarts` asks of inventory and API.

    A deployment is seen only a minute after it was begun, and each call for one begins another.
    """

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self._hidden: list[tuple[Any, Workload]] = []
        self.stopped: dict[str, str] = {}
        self.acts: list[tuple[str, str]] = []

    async def workload(self, ref: WorkloadRef) -> Workload | None:
        self.reveal()
        return self._standing

    def target(self, ref: WorkloadRef) -> EcsTarget:
        region, cluster, _ = ref.name.split("/")
        return EcsTarget(region=region, cluster=cluster)

    async def force_deployment(self, cluster: str, service: str) -> dict[str, Any]:
        self.acts.append(("Deploy", service))
        standing = self._standing
        generation = standing.generation + 1
        replicas = tuple(self._successor(one) for one in standing.replicas)
        self._hidden.append(
            (self._world.clock.now + MINUTE, replace(standing, generation=generation, replicas=replicas))
        )
        return {"deployments": [{"id": f"ecs-svc/{generation}", "status": "PRIMARY"}]}

    async def stop_task(self, cluster: str, service: str, arn: str, reason: str) -> None:
        (task,) = (one for one in self._standing.replicas if one.uid == arn)
        self.acts.append(("Stop", task.name))
        self.stopped[task.name] = reason
        others = tuple(one for one in self._standing.replicas if one is not task)
        self._stand(replace(self._standing, replicas=(*others, self._successor(task))))

    async def described_tasks(self, cluster: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{"stoppedReason": self.stopped[name]} for name in names if name in self.stopped]

    @property
    def _standing(self) -> Workload:
        return self._world.inventory.standing[ECS_REF]

    def _successor(self, old: Replica) -> Replica:
        name = f"{old.name}-new"
        return a_replica(name, uid=f"{old.uid}-new", created_at=self._world.clock.now)

    def reveal(self) -> None:
        """What was begun long enough ago is seen."""
        for at, workload in list(self._hidden):
            if at <= self._world.clock.now:
                self._stand(workload)
                self._hidden.remove((at, workload))

    def _stand(self, workload: Workload) -> None:
        self._world.inventory.standing[ECS_REF] = workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One mechanism on one platform."""

    name: str
    world: Callable[[], FakeWorld]
    policy: MemoryPolicy
    acts: int
    """How many acts on the platform it takes, no more and no fewer."""


STATEFUL = replace(REF, kind="StatefulSet")
ROLLOUT = replace(REF, kind="Rollout")

SHORT_SOAK = VerificationRules(progress_deadline=timedelta(minutes=15), soak=timedelta(minutes=2))
QUICK, QUICK_ON_ECS = a_quick_policy(verification=SHORT_SOAK), an_ecs_policy(verification=SHORT_SOAK)

SCENES = (
    Scene(name="RollingRestart", world=lambda: a_world(leaking=2, of=2), policy=QUICK, acts=1),
    Scene(name="Replace", world=lambda: a_world(leaking=2, of=5), policy=QUICK, acts=4),
    Scene(name="Evict", world=lambda: a_world(STATEFUL, leaking=3, of=3), policy=QUICK, acts=3),
    Scene(
        name="Rollout-restartAt",
        world=lambda: a_world(ROLLOUT, leaking=2, of=2, replaces_before_stopping=False),
        policy=QUICK,
        acts=1,
    ),
    Scene(
        name="Rollout-Evict",
        world=lambda: a_world(ROLLOUT, leaking=2, of=5, replaces_before_stopping=False),
        policy=QUICK,
        acts=2,
    ),
    Scene(name="ECS-deployment", world=lambda: an_ecs_world(leaking=2, of=2), policy=QUICK_ON_ECS, acts=1),
    Scene(name="ECS-StopTask", world=lambda: an_ecs_world(leaking=2, of=5), policy=QUICK_ON_ECS, acts=2),
)


def new_replicas_are_small(world: FakeWorld) -> None:
    """What was made by a remediation does not grow."""
    for workload in world.inventory.standing.values():
        for replica in workload.replicas:
            key = ContainerKey("shop", replica.name, "app")
            known = world.memory.levels.get(key)
            if known is None or known[0] < replica.created_at:
                world.memory.levels[key] = (replica.created_at, [60 * MIB, 61 * MIB])
