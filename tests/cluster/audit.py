"""Reading the API server's audit log."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One completed request, as the API server saw it."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    status_code: int
    received: datetime
    dry_run: bool
    request_body: Any  # None where the policy keeps no body, or where there was none
    response_body: Any

    @property
    def kind_of_write(self) -> str:
        """`verb resource.group/subresource`, for comparing with a list of what is allowed."""
        group = f".{self.group}" if self.group else ""
        subresource = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {self.resource}{group}{subresource}"


def service_account_user(namespace: str, name: str) -> str:
    """The user name under which a ServiceAccount's requests appear."""
    return f"system:serviceaccount:{namespace}:{name}"


def read_audit_log(
    log: Path,
    *,
    user: str | None = None,
    verbs: Collection[str] | None = None,
    since: datetime | None = None,
) -> tuple[AuditEvent, ...]:
    """The completed requests in the log, oldest first; `user`, `verbs`, `since` keep only what matches."""
    return tuple(
        event
        for event in _events(log)
        if (user is None or event.user == user)
        and (verbs is None or event.verb in verbs)
        and (since is None or event.received >= since)
    )


def _events(log: Path) -> Iterator[AuditEvent]:
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the API server is writing this one
            raw = json.loads(line)
            if raw["stage"] == "ResponseComplete":
                yield _event(raw)


def _event(raw: dict[str, Any]) -> AuditEvent:
    reference = raw.get("objectRef", {})
    return AuditEvent(
        user=raw["user"]["username"],
        verb=raw["verb"],
        group=reference.get("apiGroup", ""),
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        status_code=raw.get("responseStatus", {}).get("code", 0),
        received=datetime.fromisoformat(raw["requestReceivedTimestamp"]),
        dry_run="dryRun=All" in raw.get("requestURI", ""),
        request_body=raw.get("requestObject"),
        response_body=raw.get("responseObject"),
    )
