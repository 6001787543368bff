"""A pod's last log lines, how its container ended before, and recent Events of it and of its workload."""

from controller.evidence.replica_context import (
    LONGEST_MESSAGE,
    MOST_EVENTS,
    ContextPlan,
    LogLimits,
    RecentEvent,
    ReplicaContext,
    Termination,
    Told,
    last_lines,
)
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import Document, KubernetesApi
from controller.platforms.kubernetes.events import COMPONENT
from controller.platforms.kubernetes.moments import moment
from controller.ports import PlatformUnavailable

LARGEST_ANSWER_BYTES = 2**20
"""Of a log. The API server counts them from the first of the lines asked for, not from the last."""


class KubernetesContext:
    """A `ContextSource` over the API server."""

    def __init__(self, api: KubernetesApi, limits: LogLimits) -> None:
        self._api = api
        self._limits = limits

    async def read(self, plan: ContextPlan) -> Told:
        """All that can be had; what cannot stands in `missing`. Raises PlatformUnavailable."""
        pods = await self._api.items(
            paths.in_namespace(paths.CORE, plan.workload.namespace, "pods"),
            fieldSelector=f"metadata.name={plan.replica}",
        )
        pod = next((one for one in pods if one["metadata"].get("uid") == plan.replica_uid), None)
        if pod is None:
            raise PlatformUnavailable(f"pod {plan.replica} is gone")
        status = _container_status(pod, plan.container)
        terminated = (status.get("lastState") or {}).get("terminated")
        missing: list[str] = []
        log = await self._log(plan, missing)
        previous = await self._log(plan, missing, previous=True) if terminated else None
        events = await self._events(plan, missing)
        return Told(
            context=ReplicaContext(
                previous_termination=_termination(terminated) if terminated else None,
                restart_count=int(status.get("restartCount") or 0),
                events=events,
                missing=tuple(missing),
            ),
            log=log,
            previous_log=previous,
        )

    async def _log(self, plan: ContextPlan, missing: list[str], *, previous: bool = False) -> bytes | None:
        if not self._limits.lines:
            return None
        which = "log before the last restart" if previous else "log"
        try:
            log = last_lines(await self._end_of_log(plan, previous=previous), self._limits)
        except PlatformUnavailable as error:
            missing.append(f"{which}: {error}"[:LONGEST_MESSAGE])
            return None
        if not log:
            missing.append(f"{which}: the container wrote nothing")
        return log

    async def _end_of_log(self, plan: ContextPlan, *, previous: bool) -> bytes:
        """Fewer lines at a time until what is asked for arrives to its end."""
        path = paths.in_namespace(paths.CORE, plan.workload.namespace, "pods", plan.replica) + "/log"
        lines, most = self._limits.lines, max(LARGEST_ANSWER_BYTES, self._limits.maximum_bytes)
        while True:
            answer = await self._api.raw(
                path,
                container=plan.container,
                previous=str(previous).lower(),
                timestamps="true",
                tailLines=str(lines),
                limitBytes=str(most),
            )
            if len(answer) < most or lines == 1:
                return answer
            lines = lines // 2

    async def _events(self, plan: ContextPlan, missing: list[str]) -> tuple[RecentEvent, ...]:
        path = paths.in_namespace(paths.CORE, plan.workload.namespace, "events")
        found: list[Document] = []
        try:
            for uid in (plan.replica_uid, plan.workload_uid):
                found += await self._api.items(path, fieldSelector=f"involvedObject.uid={uid}")
        except PlatformUnavailable as error:
            missing.append(f"events: {error}"[:LONGEST_MESSAGE])
        read = (_event(one) for one in found if (one.get("source") or {}).get("component") != COMPONENT)
        known = sorted((one for one in read if one is not None), key=lambda one: one.at)
        return tuple(known[-MOST_EVENTS:])


def _container_status(pod: Document, container: str) -> Document:
    statuses: list[Document] = (pod.get("status") or {}).get("containerStatuses") or []
    return next((one for one in statuses if one.get("name") == container), {})


def _termination(terminated: Document) -> Termination:
    return Termination(
        reason=str(terminated.get("reason") or ""),
        exit_code=terminated.get("exitCode"),
        finished_at=moment(terminated.get("finishedAt")),
        message=str(terminated.get("message") or "")[:LONGEST_MESSAGE],
    )


def _event(event: Document) -> RecentEvent | None:
    told_at = event.get("lastTimestamp") or (event.get("series") or {}).get("lastObservedTime")
    at = moment(told_at or event.get("eventTime") or event["metadata"].get("creationTimestamp"))
    if at is None:
        return None
    about = event.get("involvedObject") or {}
    return RecentEvent(
        at=at,
        reason=str(event.get("reason") or ""),
        about=f"{about.get('kind')}/{about.get('name')}",
        message=str(event.get("message") or "")[:LONGEST_MESSAGE],
        warning=event.get("type") == "Warning",
        count=int(event.get("count") or (event.get("series") or {}).get("count") or 1),
    )
