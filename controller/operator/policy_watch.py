"""
kopf's watch of policies, in a thread and an event loop of its own.

Only `on.event` is used, which writes nothing to anybody's object: no finalizer, no annotation. Timers and
daemons would put a finalizer on every policy, and an uninstalled controller would leave them stuck.

Of its own, because an operator that ends cancels every task that was begun after it in the same loop, ours
too, and takes over the signals (kopf/_core/reactor/running.py, `run_tasks`). It ends for good at answers
that pass, such as 410 or a right that is missing for a moment; then it is begun anew.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

import kopf

GROUP, VERSION = "bilgepump.dev", "v1alpha1"

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""How long after its end a watch is begun anew; twice as long each time, since every sweep lists anyway."""

logger = logging.getLogger(__name__)


class PolicyWatch:
    """Tells whenever the spec of a policy has changed, or may have while nobody watched."""

    def __init__(
        self, plurals: Sequence[str], *, namespaces: Sequence[str], tell: Callable[[], None]
    ) -> None:
        """`tell` is called in the loop that `run` runs in; no `namespaces` means all."""
        self._plurals = plurals
        self._namespaces = namespaces
        self._tell = tell
        self._stopped = threading.Event()
        self._end_watch: Callable[[], object] = lambda: None

    async def run(self) -> None:
        """Watches until cancelled."""
        loop = asyncio.get_running_loop()
        told = partial(loop.call_soon_threadsafe, self._tell)
        threading.Thread(target=self._keep_watching, args=(told,), name="policies", daemon=True).start()
        try:
            await asyncio.Event().wait()
        finally:
            self._stopped.set()
            self._end_watch()

    def _keep_watching(self, told: Callable[[], object]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            began = monotonic()
            try:
                asyncio.run(self._watch(told))
            except Exception:
                # Whatever it was: policies are listed by every sweep, and the watch is tried again.
                logger.warning("the watch of policies ended", exc_info=True)
            if monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            if self._stopped.wait(pause):
                return
            told()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _watch(self, told: Callable[[], object]) -> None:
        """One run of the operator, until it fails or `run` is cancelled."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end_watch = lambda: loop.call_soon_threadsafe(stop.set)
        if self._stopped.is_set():
            return
        await kopf.operator(
            registry=self._registry(told),
            settings=_settings(namespaced=bool(self._namespaces)),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=tuple(self._namespaces),
            stop_flag=stop,
        )

    def _registry(self, told: Callable[[], object]) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        seen: dict[str, object] = {}

        async def policy_changed(event: kopf.RawEvent, **_: Any) -> None:
            metadata = event["object"]["metadata"]
            generation = None if event["type"] == "DELETED" else metadata.get("generation")
            # Our own status updates are events too; only a new generation, or none, is news.
            if seen.get(metadata["uid"]) != generation:
                seen[metadata["uid"]] = generation
                told()

        for plural in self._plurals:
            kopf.on.event(GROUP, VERSION, plural, registry=registry)(policy_changed)
        return registry


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
    # Its last resort is to kill the whole process, which goes on without it.
    settings.process.ultimate_exiting_timeout = None
    return settings
