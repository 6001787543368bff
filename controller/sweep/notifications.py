"""
Notifications: what is due is put on its way at the end of a sweep, what has ended is noted by the next.

Nothing waits for a delivery. How far each receiver has been told stands in the incident; after a crash what
was under way is computed anew, so a message may come twice, with the same id, and none is lost.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from controller.policy.book import PolicyBook
from controller.ports import World, WorldError
from controller.reporting import incident_steps as steps
from controller.reporting.census import Seen
from controller.reporting.incident import Incident
from controller.reporting.messages import Delivery, due_messages

logger = logging.getLogger(__name__)


class Notifications:
    """Holds deliveries that could not be noted yet; they may be forgotten at the price of a repetition."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._unnoted: dict[tuple[str, str, str], Delivery] = {}

    async def note_ended(self, incidents: Sequence[Incident]) -> tuple[Incident, ...]:
        """The incidents, those with what has been delivered or given up since the last sweep written."""
        for delivery in self._world.messenger.ended():
            self._unnoted[delivery.message.key] = delivery
        noted = tuple([await self._noted(incident) for incident in incidents])
        self._forget_all_but(noted)
        return noted

    async def _noted(self, incident: Incident) -> Incident:
        mine = [key for key in self._unnoted if key[:2] == (incident.namespace, incident.name)]
        if not mine:
            return incident
        told = incident
        for key in mine:
            told = steps.notified(told, self._unnoted[key].record)
        try:
            written = await self._world.records.update(told)
        except WorldError as error:
            logger.warning("delivery not noted", extra={"incident": incident.name, "why": str(error)})
            return incident
        for key in mine:
            del self._unnoted[key]
        return written

    def _forget_all_but(self, incidents: Sequence[Incident]) -> None:
        """Drops what belongs to incidents that are gone."""
        kept = {(incident.namespace, incident.name) for incident in incidents}
        self._unnoted = {key: one for key, one in self._unnoted.items() if key[:2] in kept}

    def send_due(
        self, book: PolicyBook, incidents: Sequence[Incident], seen: Sequence[Seen], now: datetime
    ) -> None:
        """`incidents` as the sweep found them, `seen` with what it made of them."""
        messenger = self._world.messenger
        if not messenger.routes:
            return
        labels = {policy.uid: dict(policy.labels) for policy in book.accepted}
        newest = {(one.namespace, one.name): one for one in incidents}
        newest |= {(one.incident.namespace, one.incident.name): one.incident for one in seen if one.incident}
        for incident in newest.values():
            policy = labels.get(incident.spec.policy.uid, {})
            for message in due_messages(incident, messenger.routes, policy, messenger.maximum_age, now):
                if message.key not in self._unnoted:
                    messenger.send(message)
