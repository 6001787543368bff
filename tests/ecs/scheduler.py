"""
What the ECS service scheduler does, as far as a gate or a recovery check can see it, over real tasks.

Each rule names the page of the Amazon ECS documentation it follows:

[lifecycle]   developerguide/task-lifecycle-explanation.html
[rolling]     developerguide/deployment-type-ecs.html (minimumHealthyPercent, maximumPercent)
[breaker]     developerguide/deployment-circuit-breaker.html
[protection]  developerguide/task-scale-in-protection.html
[stop]        APIReference/API_StopTask.html
[force]       APIReference/API_UpdateService.html (forceNewDeployment)
[health]      APIReference/API_HealthCheck.html
"""

import math
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.ecs.tasks import Program, RunningTask, Runtime

REGION, ACCOUNT, CLUSTER = "eu-west-1", "123456789012", "prod"
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
STOP_TIMEOUT = timedelta(seconds=30)
"""SIGKILL follows SIGTERM after `stopTimeout`, 30 seconds by default [stop]."""
DRAIN = timedelta(seconds=3)
"""Deregistration delay of the stand-in's target group (300 s by default at AWS, usually set far lower)."""

Document = dict[str, Any]


def now() -> datetime:
    """The real time, in UTC."""
    return datetime.now(UTC)


class Refused(Exception):
    """An error of the API, by the name its model gives it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True, kw_only=True)
class Task:
    """One task of a service."""

    id: str
    deployment: "Deployment"
    program: Program
    created_at: datetime
    status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    health: str = "UNKNOWN"
    running: RunningTask | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    terminated_at: datetime | None = None
    stopped_at: datetime | None = None
    stopped_reason: str = ""
    stop_code: str = ""
    exit_code: int | None = None
    protected_until: datetime | None = None

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{ARN}:task/{CLUSTER}/{self.id}"

    @property
    def counts(self) -> bool:
        """It is, or is about to become, a running task of its service."""
        return self.desired_status == "RUNNING"

    @property
    def serves(self) -> bool:
        """Running, and healthy where it has a health check [health]."""
        checked = not self.program.health_check or self.health == "HEALTHY"
        return self.counts and self.status == "RUNNING" and checked

    def protected(self) -> bool:
        """Protected from deployments and scale-in now [protection]."""
        return self.protected_until is not None and self.protected_until > now()


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One deployment of a service."""

    id: str
    definition: str
    created_at: datetime
    status: str = "PRIMARY"
    rollout: str = "IN_PROGRESS"
    reason: str = ""
    failed_tasks: int = 0


@dataclass(slots=True, kw_only=True)
class Service:
    """One service."""

    name: str
    desired: int
    configuration: Document
    controller: str
    scheduling: str
    created_at: datetime
    tags: list[Document]
    balancers: list[Document] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)
    last_completed: str = ""
    steady: bool = False

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{ARN}:service/{CLUSTER}/{self.name}"

    @property
    def primary(self) -> Deployment:
        """The newest deployment."""
        return self.deployments[0]

    def say(self, text: str) -> None:
        """An event of the service, the newest first; the last 100 are kept."""
        event = {"id": str(uuid.uuid4()), "createdAt": now(), "message": f"(service {self.name}) {text}"}
        self.events = [event, *self.events][:100]


class Scheduler:
    """The services of one cluster."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.definitions: dict[str, Document] = {}
        self.services: dict[str, Service] = {}
        self.capacity: int | None = None
        """How many tasks fit; None where there is room for any number."""

    def deploy(self, service: Service, definition: str) -> None:
        """A new deployment: it becomes PRIMARY, the others ACTIVE until their tasks are gone [force]."""
        for old in service.deployments:
            old.status = "ACTIVE"
        number = random.randrange(10**18, 9 * 10**18)
        made = Deployment(id=f"ecs-svc/{number}", definition=definition, created_at=now())
        made.reason = f"ECS deployment {made.id} in progress."
        service.deployments.insert(0, made)
        service.steady = False

    def stop(self, task: Task, reason: str, code: str) -> None:
        """Stops a task: out of its target group, SIGTERM, SIGKILL [lifecycle] [stop]."""
        if not task.counts:
            return
        task.desired_status, task.stopped_reason, task.stop_code = "STOPPED", reason, code
        task.status, task.stopping_at = "DEACTIVATING", now()

    def task(self, name: str) -> tuple[Service, Task] | None:
        """By id or ARN."""
        for service in self.services.values():
            for task in service.tasks:
                if name in (task.id, task.arn):
                    return service, task
        return None

    async def tick(self) -> None:
        """One turn of everything."""
        for service in self.services.values():
            for task in service.tasks:
                await self._advance(service, task)
            self._break_circuit(service)
            self._stop_old(service)
            self._start_new(service)
            self._settle(service)
            service.tasks = [one for one in service.tasks if not _forgotten(one)]

    async def close(self) -> None:
        """Ends every task."""
        tasks = [task for service in self.services.values() for task in service.tasks]
        for task in tasks:
            if task.running is not None and task.status != "STOPPED":
                task.running.kill()
        for task in tasks:
            if task.running is not None and task.status != "STOPPED":
                process = getattr(task.running, "process", None)
                if process is not None:
                    await process.wait()
                task.running.clean_up()

    async def _advance(self, service: Service, task: Task) -> None:
        """PROVISIONING, PENDING, RUNNING, DEACTIVATING, STOPPING, STOPPED [lifecycle]."""
        if task.status == "STOPPED":
            return
        if task.status == "PROVISIONING":
            task.running = await self._runtime.start(task.program)
            task.status = "PENDING"
            return
        assert task.running is not None
        code = task.running.exit_code()
        if code is not None:
            _stopped(service, task, code)
        elif task.status == "PENDING":
            task.status, task.started_at = "RUNNING", now()
        elif task.status == "RUNNING" and task.program.health_check:
            task.health = "HEALTHY" if await task.running.healthy() else task.health
        elif task.status == "DEACTIVATING" and now() - (task.stopping_at or now()) >= DRAIN:
            task.status, task.terminated_at = "STOPPING", now()
            task.running.terminate()
        elif task.status == "STOPPING" and now() - (task.terminated_at or now()) >= STOP_TIMEOUT:
            task.running.kill()

    def _start_new(self, service: Service) -> None:
        """Up to `desired` of the primary deployment, never more than maximumPercent in all [rolling]."""
        if service.primary.rollout == "FAILED":
            return
        missing = service.desired - sum(
            one.counts for one in service.tasks if one.deployment is service.primary
        )
        living = sum(one.status != "STOPPED" for one in service.tasks)
        room = _maximum(service) - living
        for _ in range(max(min(missing, room), 0)):
            if self.capacity is not None and self._occupied() >= self.capacity:
                service.say(
                    "was unable to place a task because no container instance met all of its requirements."
                )
                return
            service.tasks.append(self._new_task(service))
            service.steady = False

    def _stop_old(self, service: Service) -> None:
        """Old tasks go while minimumHealthyPercent serve; protected ones stay [rolling] [protection]."""
        old = [one for one in service.tasks if one.counts and one.deployment is not service.primary]
        serving = sum(one.serves for one in service.tasks)
        spare = serving - math.ceil(service.desired * _percent(service, "minimumHealthyPercent", 100) / 100)
        for task in [one for one in old if not one.protected()][: max(spare, 0)]:
            self.stop(
                task,
                f"Scaling activity initiated by (deployment {service.primary.id})",
                "ServiceSchedulerInitiated",
            )

    def _break_circuit(self, service: Service) -> None:
        """Half of the desired tasks, at least 3 and at most 200, failed: the deployment FAILED [breaker]."""
        breaker = service.configuration.get("deploymentCircuitBreaker") or {}
        primary = service.primary
        limit = min(max(math.ceil(0.5 * service.desired), 3), 200)
        if primary.rollout != "IN_PROGRESS" or primary.failed_tasks < limit or not breaker.get("enable"):
            return
        primary.rollout = "FAILED"
        primary.reason = "ECS deployment circuit breaker: tasks failed to start."
        service.say(f"(deployment {primary.id}) deployment failed: tasks failed to start.")
        if breaker.get("rollback") and service.last_completed:
            self.deploy(service, service.last_completed)
            service.primary.reason = (
                f"ECS deployment circuit breaker: rolling back to {service.last_completed}."
            )

    def _settle(self, service: Service) -> None:
        """Steady: the primary serves in full and nothing of the others is left [rolling]."""
        serving = sum(one.serves for one in service.tasks if one.deployment is service.primary)
        leftovers = [one for one in service.tasks if one.status != "STOPPED" and not one.serves]
        others = [one for one in service.tasks if one.counts and one.deployment is not service.primary]
        if serving < service.desired or leftovers or others or service.steady:
            return
        service.steady = True
        service.deployments = [service.primary]
        service.primary.rollout = "COMPLETED"
        service.primary.reason = f"ECS deployment {service.primary.id} completed."
        service.last_completed = service.primary.definition
        service.say("has reached a steady state.")

    def _occupied(self) -> int:
        return sum(one.status != "STOPPED" for each in self.services.values() for one in each.tasks)

    def _new_task(self, service: Service) -> Task:
        return Task(
            id=uuid.uuid4().hex,
            deployment=service.primary,
            program=program(self.definitions[service.primary.definition]),
            created_at=now(),
        )


def program(definition: Document) -> Program:
    """What a task definition's only container runs."""
    container = definition["containerDefinitions"][0]
    return Program(
        name=container["name"],
        command=container.get("command", ()),
        environment={one["name"]: one["value"] for one in container.get("environment", ())},
        memory_bytes=int(container.get("memory") or definition["memory"]) * 2**20,
        health_check=" ".join((container.get("healthCheck") or {}).get("command", ())),
    )


def _stopped(service: Service, task: Task, code: int) -> None:
    assert task.running is not None
    if task.counts:
        task.desired_status, task.stop_code = "STOPPED", "EssentialContainerExited"
        task.stopped_reason = "Essential container in task exited"
        if not task.serves:
            task.deployment.failed_tasks += 1
    task.status, task.exit_code, task.stopped_at = "STOPPED", code, now()
    task.running.clean_up()
    service.steady = False


def _maximum(service: Service) -> int:
    return math.floor(service.desired * _percent(service, "maximumPercent", 200) / 100)


def _percent(service: Service, name: str, default: int) -> int:
    return int(service.configuration.get(name, default))


def _forgotten(task: Task) -> bool:
    """Stopped tasks can be described for at least an hour [lifecycle]."""
    return task.stopped_at is not None and now() - task.stopped_at > timedelta(hours=1)


def serving(tasks: Sequence[Task]) -> list[str]:
    """Addresses of tasks that are registered in the target group."""
    return [one.running.address for one in tasks if one.serves and one.running is not None]
