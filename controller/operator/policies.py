"""
kopf watches `MemoryPolicy` objects; nothing else lives in its handlers.

Only `on.event` is used, which writes nothing to anybody's object: no finalizer, no annotation. Timers and
daemons would put a finalizer on every policy, and an uninstalled controller would leave them stuck.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import kopf

from controller.policy.book import PolicyBook, RejectedPolicy, read_policy
from controller.policy.memory_policy import MemoryPolicy

GROUP, VERSION, PLURAL = "bilgepump.dev", "v1alpha1", "memorypolicies"


class WatchedPolicies:
    """The policies as the watch last told them."""

    def __init__(self, *, allow_short_lookback: bool) -> None:
        self._allow_short_lookback = allow_short_lookback
        self._policies: dict[str, MemoryPolicy | RejectedPolicy] = {}
        self.changed = asyncio.Event()
        self.listed = asyncio.Event()
        """Set once kopf has begun to watch."""

    def book(self) -> PolicyBook:
        """All policies now."""
        policies = sorted(self._policies.values(), key=lambda one: (one.namespace, one.name))
        return PolicyBook(
            accepted=tuple(one for one in policies if isinstance(one, MemoryPolicy)),
            rejected=tuple(one for one in policies if isinstance(one, RejectedPolicy)),
            complete=self.listed.is_set(),
        )

    def see(self, kind: str | None, document: dict[str, Any]) -> None:
        """One event of the watch; `kind` is None for what the first listing finds."""
        uid = document["metadata"]["uid"]
        if kind == "DELETED" or document["metadata"].get("deletionTimestamp"):
            self._policies.pop(uid, None)
        else:
            self._policies[uid] = read_policy(document, allow_short_lookback=self._allow_short_lookback)
        self.changed.set()

    async def watch(self, namespaces: Sequence[str]) -> None:
        """Watches until cancelled; every namespace where none is given."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        async def policy_seen(event: kopf.RawEvent, **_: Any) -> None:
            self.see(event["type"], dict(event["object"]))

        await kopf.operator(
            registry=registry,
            settings=_settings(namespaced=bool(namespaces)),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=tuple(namespaces),
            ready_flag=self.listed,
        )


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """By the official client: it dials the address in the pod's environment, which needs no cluster DNS."""
    return kopf.login_via_client(**kwargs)


def _settings(*, namespaced: bool) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = namespaced
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.networking.request_timeout = 30
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.process.ultimate_exiting_timeout = 20
    return settings
