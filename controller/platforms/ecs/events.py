"""
Tells people through EventBridge and the log.

`source` is `bilgepump.dev`, `detail-type` the reason of the catalogue (docs/events.md), `detail` as
documented in docs/ecs.md.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from controller.reporting.notices import Notice, Subject

logger = logging.getLogger(__name__)

SOURCE = "bilgepump.dev"
ENTRIES_PER_CALL = 10
"""Of PutEvents (EventBridge API reference)."""


class EcsEvents:
    """A `ports.Announcer`; without a bus it only logs."""

    def __init__(self, client: BaseClient | None, *, bus: str = "") -> None:
        self._client: Any = client
        self._bus = bus

    async def announce(self, notices: Sequence[Notice], /) -> None:
        """Posts each notice once; failures are logged, never raised."""
        for notice in notices:
            logger.info(notice.reason, extra={"regarding": str(notice.regarding), "told": notice.message})
        if self._client is None:
            return
        for start in range(0, len(notices), ENTRIES_PER_CALL):
            entries = [entry(notice, self._bus) for notice in notices[start : start + ENTRIES_PER_CALL]]
            try:
                answer = await asyncio.to_thread(self._client.put_events, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                logger.warning("events not posted", extra={"why": str(error)[:300]})
                continue
            if answer["FailedEntryCount"]:
                logger.warning("events not posted", extra={"why": str(answer["Entries"])[:300]})


def entry(notice: Notice, bus: str) -> dict[str, Any]:
    """A notice as an entry of PutEvents."""
    detail = {
        "version": 1,
        "reason": notice.reason,
        "type": notice.tone.value,
        "message": notice.message,
        "regarding": _subject(notice.regarding),
        "related": _subject(notice.related) if notice.related else None,
        "action": notice.action,
        "episode": notice.episode,
    }
    return {
        "Time": notice.at,
        "Source": SOURCE,
        "DetailType": notice.reason,
        "Detail": json.dumps(detail, ensure_ascii=False),
        "EventBusName": bus,
    }


def _subject(subject: Subject) -> dict[str, str]:
    return {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name, "uid": subject.uid}
