"""
How tasks of a service ended lately, and what ECS told of the service.

ECS keeps no logs: where the container writes to CloudWatch Logs, the command that shows them is told instead,
so that the controller needs no right to read them.
"""

from collections.abc import Callable

from controller.evidence.replica_context import (
    LONGEST_MESSAGE,
    MOST_EVENTS,
    ContextPlan,
    RecentEvent,
    ReplicaContext,
    Termination,
    Told,
)
from controller.inventory.workload import WorkloadRef
from controller.platforms.ecs.api import Document, EcsApi
from controller.ports import PlatformUnavailable


class EcsContext:
    """A `ContextSource` over the ECS API."""

    def __init__(self, api: Callable[[WorkloadRef], EcsApi | None]) -> None:
        """`api` answers for a service's account and region; None where no policy leads there any more."""
        self._api = api

    async def read(self, plan: ContextPlan) -> Told:
        """All that can be had. Raises PlatformUnavailable."""
        api = self._api(plan.workload)
        if api is None:
            raise PlatformUnavailable(f"no policy leads to {plan.workload} any more")
        _, cluster, service = plan.workload.name.split("/")
        stopped = await api.stopped_tasks(cluster, service)
        (described,) = await api.services(cluster, [service]) or [{}]
        ended = [one for one in (_termination(task, plan.container) for task in stopped) if one is not None]
        return Told(
            context=ReplicaContext(
                previous_termination=max(ended, key=_finished, default=None),
                restart_count=len(ended),
                events=_events(described),
                missing=(await self._where_the_log_is(api, plan, cluster),),
            )
        )

    async def _where_the_log_is(self, api: EcsApi, plan: ContextPlan, cluster: str) -> str:
        tasks = await api.described_tasks(cluster, [plan.replica])
        definitions = [await api.task_definition(task["taskDefinitionArn"]) for task in tasks]
        containers = (one for definition in definitions for one in definition["containerDefinitions"])
        container: Document = next((one for one in containers if one["name"] == plan.container), {})
        logs = container.get("logConfiguration") or {}
        options = logs.get("options") or {}
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        if logs.get("logDriver") != "awslogs" or not group or not prefix:
            return "log: ECS keeps none, and the container does not write to CloudWatch Logs"
        stream = f"{prefix}/{plan.container}/{plan.replica}"
        return f"log: aws logs tail '{group}' --log-stream-names '{stream}' --since 1h"


def _termination(task: Document, container: str) -> Termination | None:
    """How the container of a stopped task ended; None where the task has no such container."""
    ended = next((one for one in task.get("containers") or () if one.get("name") == container), None)
    if ended is None:
        return None
    why = " ".join(part for part in (task.get("stoppedReason"), ended.get("reason")) if part)
    return Termination(
        reason=str(task.get("stopCode") or ""),
        exit_code=ended.get("exitCode"),
        finished_at=task.get("stoppedAt") or task.get("stoppingAt"),
        message=why[:LONGEST_MESSAGE],
    )


def _finished(termination: Termination) -> float:
    return termination.finished_at.timestamp() if termination.finished_at else 0.0


def _events(service: Document) -> tuple[RecentEvent, ...]:
    told = [
        RecentEvent(
            at=event["createdAt"],
            reason="ServiceEvent",
            about=f"Service/{service.get('serviceName')}",
            message=str(event.get("message") or "")[:LONGEST_MESSAGE],
        )
        for event in service.get("events") or ()
    ]
    return tuple(sorted(told, key=lambda one: one.at)[-MOST_EVENTS:])
