"""
Acknowledgements: what a person wrote is noted in the incident that it is about, once.

It stands on the workload, which is held for it: whoever may patch that could restart it anyway. Where the
workload is gone there is nothing to hold, and it stands on the incident.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from controller.inventory.workload import Workload
from controller.ports import World, WorldError
from controller.reporting import incident_steps as steps
from controller.reporting import notices
from controller.reporting.incident import Incident

logger = logging.getLogger(__name__)


async def note_acknowledged(
    world: World, workloads: Sequence[Workload], incidents: Sequence[Incident], now: datetime
) -> tuple[Incident, ...]:
    """The incidents, those that somebody has acknowledged since the last sweep with a note of it."""
    reasons = {(one.uid, one.acknowledged): one.acknowledged_because for one in workloads if one.acknowledged}
    living = {one.uid for one in workloads}
    noted = []
    for incident in incidents:
        uid = incident.spec.workload_uid
        because = reasons.get((uid, incident.name)) if uid in living else incident.acknowledged_because
        news = because is not None and not incident.acknowledged
        noted.append(await _noted(world, incident, because or "", now) if news else incident)
    return tuple(noted)


async def _noted(world: World, incident: Incident, because: str, now: datetime) -> Incident:
    try:
        await world.announcer.announce(notices.incident_acknowledged(incident, because, now))
        return await world.records.update(steps.acknowledged(incident, because, now))
    except WorldError as error:
        logger.warning("acknowledgement not noted", extra={"incident": incident.name, "why": str(error)})
        return incident
