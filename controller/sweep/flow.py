"""
One pass over everything: gather, judge, decide, act, check, tell.

There is one sweep for all policies and no timer per object: one budget of restarts, few queries for many
containers, and nothing to clean up on anybody's objects when the controller is gone.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from controller.decision.situation import Powers
from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload
from controller.metrics.series import BlockMatrix
from controller.ports import PlatformUnavailable, Policies, World
from controller.reporting.census import Census, Seen, census
from controller.reporting.incident import Incident
from controller.reporting.past import current_incident
from controller.sweep.acknowledgements import note_acknowledged
from controller.sweep.alerts import read_alerts
from controller.sweep.attending import Attendant, Attended
from controller.sweep.baselines import Baselines
from controller.sweep.finishing import Finisher, still_waits
from controller.sweep.fleet import FleetLedger
from controller.sweep.judging import Covered, Gathered, cover, gather, judge_all
from controller.sweep.looks import Looks
from controller.sweep.notifications import Notifications
from controller.sweep.present import Moment, Present
from controller.sweep.reports import Reports
from controller.sweep.retention import Retention, still_needed
from controller.sweep.situations import SweepLimits, situation_of
from controller.sweep.telling import PolicyTelling

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What all workloads of one sweep have in common."""

    fleet: FleetLedger
    gathered: Gathered
    limits: SweepLimits
    present: Present
    now: datetime


class Sweeper:
    """Runs sweeps. What it remembers between them may be lost at any time."""

    def __init__(self, world: World, limits: Callable[[], SweepLimits], retention: Retention) -> None:
        """`limits` is asked by every sweep and before each act: the kill switch must not need a restart."""
        self._world = world
        self._limits = limits
        self._retention = retention
        self._looks = Looks()
        self._finisher = Finisher(world)
        self._attendant = Attendant(world, self._finisher)
        self._baselines = Baselines(world.profiler)
        self._telling = PolicyTelling(world)
        self._reports = Reports(world)
        self._notifications = Notifications(world)
        self._followed: tuple[Incident, ...] = ()

    @property
    def following(self) -> bool:
        """Whether there is something that `follow` should look at before the next sweep."""
        return bool(self._followed)

    async def sweep(self, policies: Policies, now: datetime) -> Census:
        """One pass. Raises PlatformUnavailable where the platform cannot be read."""
        world, limits, self._followed = self._world, self._limits(), ()
        present, book = self._present(policies, now), await policies.book()
        workloads = await world.inventory.workloads(book.namespaces)
        unread = world.inventory.unread
        incidents = await self._notifications.note_ended(await world.records.incidents())
        incidents = await note_acknowledged(world, workloads, incidents, now)
        world.profiler.protect([one.folder for one in still_needed(incidents)])
        await self._finisher.tidy(incidents, limits.powers, now)
        covered = tuple(cover(book.accepted, workloads))
        gathered = await gather(world.memory_sources, covered, now)
        judged = judge_all(covered, gathered, now)
        governing = [item.policy for item in covered]
        alerts = await read_alerts(world.alert_sources, limits.blocking_alerts, governing, now)
        fleet = FleetLedger(judged, incidents, workloads, now, alerts)
        turn = _Turn(fleet=fleet, gathered=gathered, limits=limits, present=present, now=now)
        seen = await self._attend_all(judged, incidents, turn)
        await self._finish_ungoverned(covered, workloads, _readable(incidents, unread), limits, now)
        await self._telling.tell(book, seen, gathered.missing, unread, now)
        self._notifications.send_due(book, incidents, seen, now)
        await self._reports.write_due(incidents, seen, covered, gathered, now)
        await self._retention.prune(world.records, incidents, now)
        governed = frozenset(item.workload.uid for item in covered)
        self._attendant.forget_all_but(governed)
        self._looks.forget_all_but(governed)
        self._followed = tuple(
            one.incident for one in seen if one.incident and one.incident.replaces_one_at_a_time
        )
        return census(book, seen, incidents, gathered.missing)

    async def note_notifications(self) -> None:
        """Notes what has been told by now, where no further sweep will. Raises PlatformUnavailable."""
        await self._notifications.note_ended(await self._world.records.incidents())

    async def follow(self, policies: Policies, now: datetime) -> bool:
        """
        The next step of what the last sweep left half replaced; whether there is more to follow.

        Between two sweeps, so that a replica stands beside its replacement for seconds and not for a whole
        interval. While there is only something to wait for nothing but the workload is read, since this is
        asked every few seconds. One that fails is left to the next sweep.
        """
        present, followed = self._present(policies, now), self._followed
        self._followed = ()
        for incident in followed:
            with self._alone(incident):
                after = await self._follow(incident, present)
                if after is not None and after.replaces_one_at_a_time:
                    self._followed += (after,)
        return self.following

    def _present(self, policies: Policies, now: datetime) -> Present:
        return Present(world=self._world, policies=policies, limits=self._limits, began_at=now)

    @contextmanager
    def _alone(self, incident: Incident) -> Iterator[None]:
        """Whatever fails inside is this incident's: the others go on, and the next sweep tries it again."""
        try:
            yield
        except Exception:
            logger.exception("incident failed", extra={"incident": incident.name})
            self._world.telemetry.failed("incident")

    async def _follow(self, remembered: Incident, present: Present) -> Incident | None:
        """The incident afterwards; None where it is gone."""
        workload = await self._world.inventory.workload(remembered.spec.workload)
        if workload is not None and still_waits(remembered, workload):
            return remembered
        standing = await self._world.records.incidents()
        incident = next((one for one in standing if one.folder == remembered.folder and one.open), None)
        if incident is None:
            return None
        moment = await present.around(workload, incident.spec.workload_uid)
        return await self._finish(incident, moment, None)

    async def _finish(self, incident: Incident, moment: Moment, memory: BlockMatrix | None) -> Incident:
        """One step further, on what is now."""
        return await self._finisher.finish(
            incident, moment.workload, moment.policy, memory, moment.powers, moment.now
        )

    async def _attend_all(
        self,
        judged: Sequence[tuple[Covered, Judgement | None]],
        incidents: Sequence[Incident],
        turn: _Turn,
    ) -> list[Seen]:
        """Every workload in turn; one's failure is not another's."""
        seen: list[Seen] = []
        by_workload: dict[str, list[Incident]] = defaultdict(list)
        for incident in incidents:
            by_workload[incident.spec.workload_uid].append(incident)
        for item, judgement in judged:
            mine = by_workload[item.workload.uid]
            try:
                attended = await self._attend(item, judgement, mine, turn)
            except Exception:
                # Whatever it was: the others go on, and this one is tried again in the next sweep.
                logger.exception("workload failed", extra={"workload": str(item.workload.ref)})
                self._world.telemetry.failed("workload")
                attended = Attended(decision=None, incident=None)
            if attended.incident is not None:
                turn.fleet.note(attended.incident, item.workload)
            seen.append(
                Seen(
                    policy=item.policy,
                    workload=item.workload,
                    judgement=judgement,
                    decision=attended.decision,
                    incident=attended.incident,
                )
            )
        return seen

    async def _attend(
        self,
        item: Covered,
        judgement: Judgement | None,
        incidents: Sequence[Incident],
        turn: _Turn,
    ) -> Attended:
        looks = self._looks.count(item, judgement, incidents)
        ordered = next((one for one in incidents if one.open and one.ordered), None)
        if ordered is not None:
            return Attended(decision=None, incident=await self._finish_governed(ordered, item, turn))
        if judgement is None:
            closed = await self._attendant.close_where_nothing_runs(item.workload, incidents, turn.now)
            return Attended(decision=None, incident=closed)
        beside = turn.fleet.beside(item.workload, item.policy)
        situation = situation_of(item, judgement, incidents, beside, turn.limits, turn.now, looks)
        await self._baselines.keep(situation)
        incident = current_incident(item.workload, incidents, situation.history)
        return await self._attendant.attend(situation, incident, turn.present, turn.fleet)

    async def _finish_governed(self, incident: Incident, item: Covered, turn: _Turn) -> Incident:
        """What may still act looks once more first; what is only watched goes by what the sweep has read."""
        memory = turn.gathered.of(item.policy)
        if incident.replaces_replicas:
            moment = await turn.present.look(incident.spec.workload, incident.spec.workload_uid)
            return await self._finish(incident, moment, memory)
        return await self._finisher.finish(
            incident, item.workload, item.policy, memory, turn.limits.powers, turn.now
        )

    async def _finish_ungoverned(
        self,
        covered: Sequence[Covered],
        workloads: Sequence[Workload],
        incidents: Sequence[Incident],
        limits: SweepLimits,
        now: datetime,
    ) -> None:
        """
        Incidents whose workload or policy is gone: what had acted is finished, the rest is closed.

        One's failure is not another's.
        """
        governed = {item.workload.uid for item in covered}
        living = {workload.uid: workload for workload in workloads}
        for incident in incidents:
            uid = incident.spec.workload_uid
            if not incident.open or uid in governed:
                continue
            with self._alone(incident):
                await self._finish_alone(incident, living.get(uid), limits.powers, now)

    async def _finish_alone(
        self, incident: Incident, workload: Workload | None, powers: Powers, now: datetime
    ) -> None:
        """One that no policy governs; `workload` is None where nobody has looked."""
        if not incident.ordered:
            await self._finisher.abandon(incident, now)
            return
        try:
            workload = workload or await self._world.inventory.workload(incident.spec.workload)
        except PlatformUnavailable as error:
            logger.warning("incident not seen to", extra={"incident": incident.name, "why": str(error)})
            self._world.telemetry.failed("incident")
            await self._finisher.lose_sight(incident, str(error), now)
            return
        same = workload if workload is not None and workload.uid == incident.spec.workload_uid else None
        await self._finisher.finish(incident, same, None, None, powers, now)


def _readable(incidents: Sequence[Incident], unread: Mapping[str, str]) -> tuple[Incident, ...]:
    """Without those of policies whose part of the platform could not be read: unknown is not gone."""
    return tuple(
        one for one in incidents if f"{one.spec.policy.namespace}/{one.spec.policy.name}" not in unread
    )
