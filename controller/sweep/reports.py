"""The report of every incident: written anew when something has happened since it was written last."""

import logging
from collections.abc import Sequence
from datetime import datetime

from controller.ports import World, WorldError
from controller.reporting import incident_steps as steps
from controller.reporting.census import Seen
from controller.reporting.incident import Incident
from controller.sweep.judging import Covered, Gathered

logger = logging.getLogger(__name__)


class Reports:
    """
    Last in a sweep, so that no act waits for it; what fails is logged and stands in nobody's way.

    What is due stands in the incident itself: after a crash the next sweep writes what is missing.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def write_due(
        self,
        incidents: Sequence[Incident],
        seen: Sequence[Seen],
        covered: Sequence[Covered],
        gathered: Gathered,
        now: datetime,
    ) -> None:
        """`incidents` as the sweep found them, `seen` with what it made of them."""
        governed = {item.workload.uid: item for item in covered}
        newest = {one.uid or one.name: one for one in incidents}
        newest |= {one.incident.uid or one.incident.name: one.incident for one in seen if one.incident}
        for incident in newest.values():
            if incident.report_due:
                await self._write(incident, governed.get(incident.spec.workload_uid), gathered, now)

    async def _write(
        self, incident: Incident, item: Covered | None, gathered: Gathered, now: datetime
    ) -> None:
        """Writes the report, then where it is; one that failed is tried again when more has happened."""
        world = self._world
        workload = item.workload if item else None
        memory = gathered.of(item.policy) if item else None
        try:
            uri = await world.reporter.write(incident, workload, memory, now)
            await world.records.update(steps.reported(incident, uri, now))
        except WorldError as error:
            # Somebody wrote to the incident meanwhile, or the platform is away: the next sweep tries again.
            logger.warning("report not noted", extra={"incident": incident.name, "why": str(error)})
            return
        except Exception:
            # Whatever it was: nothing may depend on the page that tells of it.
            logger.exception("report failed", extra={"incident": incident.name})
            uri = ""
        if not uri:
            world.telemetry.failed("report")
