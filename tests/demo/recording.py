"""What happened, as it happens: memory of the replicas, our Events, phases of the incident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.cluster.client import KubernetesClient
from tests.demo.stage import events, incidents

MEMORY = 'max by (pod) (container_memory_working_set_bytes{namespace="%s",container="app",pod=~"api-.*"})'

Query = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something worth telling."""

    at: datetime
    what: str
    message: str
    regarding: str = ""

    def document(self) -> dict[str, str]:
        """As the timeline file holds it."""
        return {
            "at": self.at.isoformat(),
            "what": self.what,
            "message": self.message,
            "regarding": self.regarding,
        }


@dataclass(slots=True)
class Recording:
    """Reads the cluster again and again; remembers what it has told."""

    cluster: KubernetesClient
    namespace: str
    query: Query
    moments: list[Moment] = field(default_factory=list)
    memory: list[tuple[datetime, dict[str, int]]] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def look(self, now: datetime) -> list[Moment]:
        """One look: the newest memory, and the moments that are new."""
        self.memory.append((now, self._memory()))
        new = [moment for event in events(self.cluster, self.namespace) if (moment := self._moment(event))]
        self.moments += new
        return new

    def incident(self) -> dict[str, Any] | None:
        """The newest incident of the story's service."""
        mine = [
            one for one in incidents(self.cluster, self.namespace) if one["spec"]["workload"]["name"] == "api"
        ]
        return mine[-1] if mine else None

    def _memory(self) -> dict[str, int]:
        series = self.query(MEMORY % self.namespace)
        return {one["metric"]["pod"]: int(float(one["value"][1])) for one in series}

    def _moment(self, event: dict[str, Any]) -> Moment | None:
        name = event["metadata"]["name"]
        if name in self._told:
            return None
        self._told.add(name)
        involved = event["involvedObject"]
        return Moment(
            at=datetime.fromisoformat(event["firstTimestamp"]).astimezone(UTC),
            what=event["reason"],
            message=event["message"],
            regarding=f"{involved['kind']}/{involved['name']}",
        )
