"""
What has been ordered is carried out, watched and closed, whatever happened in between.

The order stands in the incident before it is carried out, and carrying it out a second time does nothing
more: after a crash at any line the next sweep goes on from there.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller.decision.situation import Powers
from controller.inventory.workload import Workload
from controller.metrics.series import BlockMatrix
from controller.policy.memory_policy import MemoryPolicy, Mode
from controller.ports import (
    OutcomeUnknown,
    PlatformUnavailable,
    RemediationRefused,
    World,
    WorldError,
)
from controller.remediation.order import Order, Receipt
from controller.remediation.stepping import next_step
from controller.reporting import incident_steps as steps
from controller.reporting import notices
from controller.reporting.incident import Incident
from controller.reporting.notices import Notice
from controller.sweep.recovery_facts import recovery_facts
from controller.sweep.service import service_level
from controller.verification.recovery import Recovery, RecoveryOutcome, check_recovery, rolled_out

logger = logging.getLogger(__name__)

ORDER_VALIDITY = timedelta(minutes=2)
"""An order that was not carried out for so long is decided anew: what it was based on has passed."""


class Finisher:
    """Takes incidents from the order to their end."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def carry_out(
        self, incident: Incident, now: datetime, workload: Workload | None = None
    ) -> Incident:
        """
        Does what is ordered, or its next step, unless somebody else may be doing it.

        `workload` as it was seen last: for an order that has begun, to say how far it is. Where the platform
        does not answer, the next sweep finds out what has become of it.
        """
        order = incident.status.order
        if order is None or not await self._world.leadership.confirm():
            return incident
        try:
            receipt = await self._world.remediator.carry_out(order)
        except RemediationRefused as refused:
            # Who does not lead any more was refused for what the new leader did: the order is its own now.
            if incident.status.receipt is not None or not await self._world.leadership.confirm():
                return incident
            await self._announce(notices.restart_refused(incident, str(refused), now))
            return await self._update(steps.order_voided(incident, str(refused), now), incident)
        except OutcomeUnknown as unknown:
            return await self._unknown(incident, str(unknown), now)
        except PlatformUnavailable as error:
            # It may have been done all the same, so the incident goes on as ordered: it keeps its slot, and
            # its deadline does not wait for a step that never succeeds.
            logger.warning("step failed", extra={"incident": incident.name, "why": str(error)})
            self._world.telemetry.failed("step")
            return incident
        if incident.status.receipt is None:
            return await self._started(incident, order, receipt, now)
        if not order.stepwise or workload is None:
            return incident
        return await self._update(_progressed(incident, order, workload, receipt.waits_for), incident)

    async def _started(self, incident: Incident, order: Order, receipt: Receipt, now: datetime) -> Incident:
        """Writes down and tells that the order was carried out, or has begun."""
        done = steps.carried_out(incident, receipt, now)
        self._world.telemetry.remediated(done.namespace, order.mechanism.value)
        await self._announce(notices.restart_started(done, now))
        return await self._update(done, incident)

    async def _unknown(self, incident: Incident, why: str, now: datetime) -> Incident:
        """Says once that the outcome is not known."""
        told = steps.outcome_unknown(incident, why, now)
        if told is not incident:
            await self._announce(notices.outcome_unknown_told(told, now))
        return await self._update(told, incident)

    async def finish(
        self,
        incident: Incident,
        workload: Workload | None,
        policy: MemoryPolicy | None,
        memory: BlockMatrix | None,
        powers: Powers,
        now: datetime,
    ) -> Incident:
        """
        One step further with an incident whose remediation has been ordered: what was begun is finished.

        `workload` and `policy` are None where they are gone, `memory` while it cannot be read.
        """
        if incident.status.receipt is None:
            why_void = _why_void(incident, workload, policy, powers, now)
            return await self._resume(incident, why_void, workload, now)
        order = incident.status.order
        recovery = await self._check(incident, workload, policy, memory, now)
        too_late = recovery.outcome.final and not (order and workload and rolled_out(workload, order))
        if order and workload and not incident.status.rolled_out_at and not too_late:
            why_stop = _why_stop(workload, policy, powers)
            incident = await self._progress(incident, order, workload, why_stop, now)
            recovery = await self._check(incident, workload, policy, memory, now)
        if not recovery.outcome.final:
            return incident
        return await self._close(incident, recovery, workload, now)

    async def _check(
        self,
        incident: Incident,
        workload: Workload | None,
        policy: MemoryPolicy | None,
        memory: BlockMatrix | None,
        now: datetime,
    ) -> Recovery:
        """The recovery as far as it is known; how requests are served is asked when the soak is over."""
        facts = recovery_facts(incident, workload, policy, memory)
        if workload and policy and facts.soaked_at and now >= facts.soaked_at:
            after = await service_level(self._world, policy, workload, facts.soaked_at)
            facts = replace(facts, service_after=after)
        return check_recovery(facts, now)

    async def lose_sight(self, incident: Incident, why: str, now: datetime) -> Incident:
        """
        Closes an incident whose workload cannot be read, once its remediation must be over.

        For one that no policy governs any more: nothing will come of waiting, and it holds others up.
        """
        facts = recovery_facts(incident, None, None, None)
        if now < facts.rolled_out_by + facts.rules.soak:
            return incident
        message = f"what came of it is not known, the workload cannot be read: {why}"
        recovery = Recovery(outcome=RecoveryOutcome.MEMORY_UNMEASURED, message=message)
        return await self._close(incident, recovery, None, now)

    async def _close(
        self, incident: Incident, recovery: Recovery, workload: Workload | None, now: datetime
    ) -> Incident:
        """Writes down and tells how it ended."""
        closed = steps.recovered(incident, recovery, workload, now)
        self._world.telemetry.recovered(closed.namespace, recovery.outcome.value)
        await self._announce(notices.recovery_told(closed, recovery, now))
        return await self._update(closed, incident)

    async def _progress(
        self, incident: Incident, order: Order, workload: Workload, why_stop: str, now: datetime
    ) -> Incident:
        """Notes that all is new; where replicas are replaced one at a time, goes on to the next."""
        if rolled_out(workload, order):
            return await self._update(steps.rolled_out(incident, now), incident)
        if not order.stepwise:
            return incident
        if why_stop:
            begun = order.cut_short(workload)
            if not begun.stepwise:
                return incident
            if begun != order:
                incident = await self._update(steps.cut_short(incident, begun, why_stop, now), incident)
                order = begun
        step = next_step(order, workload)
        if step.replica is None:
            return await self._update(_progressed(incident, order, workload, step.waits_for), incident)
        return await self.carry_out(incident, now, workload)

    async def _resume(
        self, incident: Incident, why_void: str, workload: Workload | None, now: datetime
    ) -> Incident:
        """
        After a crash between order and receipt: find out, then finish or void it.

        What is found is only written down: whether a next replica may be begun is asked as for any other.
        """
        order = incident.status.order
        if order is None:
            return incident
        found = await self._world.remediator.find(order) if workload is not None else None
        if found is not None:
            if not await self._world.leadership.confirm():
                return incident
            return await self._started(incident, order, found, now)
        if not order.repeatable and now - order.issued_at <= ORDER_VALIDITY:
            message = f"whether the {order.mechanism} was begun is not known yet; it is looked for"
            return await self._unknown(incident, message, now)
        if why_void:
            return await self._update(steps.order_voided(incident, why_void, now), incident)
        return await self.carry_out(incident, now)

    async def tidy(self, incidents: Sequence[Incident], powers: Powers, now: datetime) -> None:
        """Ends replicas that were let go for an incident that nobody finishes any more. Never raises."""
        if not powers.remediate or not await self._world.leadership.confirm():
            return
        unfinished = {one.name for one in incidents if one.open and one.ordered}
        try:
            leftovers = await self._world.remediator.tidy(unfinished)
        except WorldError as error:
            # The next sweep looks again, and nothing else waits for it.
            logger.warning("leftovers not ended", extra={"why": str(error)})
            self._world.telemetry.failed("leftovers")
            return
        await self._announce(notices.leftovers_told(leftovers, now))

    async def abandon(self, incident: Incident, now: datetime) -> None:
        """Closes an incident of a workload that no policy governs any more."""
        await self._update(steps.abandoned(incident, now), incident)

    async def _announce(self, told: tuple[Notice, ...]) -> None:
        """Before it is written: a crash in between tells twice, which is counted, rather than never."""
        await self._world.announcer.announce(told)

    async def _update(self, new: Incident, old: Incident) -> Incident:
        return old if new is old else await self._world.records.update(new)


def still_waits(incident: Incident, workload: Workload) -> bool:
    """Whether nothing is to be done for `incident` now but to wait, for what it says already."""
    order = incident.status.order
    if order is None or incident.status.receipt is None or workload.uid != order.workload_uid:
        return False
    step = next_step(order, workload)
    if step.replica is not None or rolled_out(workload, order):
        return False
    return _progressed(incident, order, workload, step.waits_for) is incident


def _progressed(incident: Incident, order: Order, workload: Workload, waits_for: str) -> Incident:
    """How far it is, and what it waits for; the same incident where that is no news."""
    standing = sum(order.names(replica) for replica in workload.replicas)
    return steps.progressed(incident, len(order.replicas) - standing, waits_for)


def _why_void(
    incident: Incident,
    workload: Workload | None,
    policy: MemoryPolicy | None,
    powers: Powers,
    now: datetime,
) -> str:
    """Why an order that was not carried out must not be any more; empty where it may."""
    order = incident.status.order
    if workload is None or order is None:
        return "the workload is gone"
    if why_stop := _why_stop(workload, policy, powers):
        return why_stop
    return "it was not carried out in time" if now - order.issued_at > ORDER_VALIDITY else ""


def _why_stop(workload: Workload, policy: MemoryPolicy | None, powers: Powers) -> str:
    """Why nothing new may be begun; empty where it may."""
    if powers.suspended_because or not powers.remediate or workload.paused_by:
        return powers.suspended_because or workload.paused_by or "the controller may not restart any more"
    if policy is None or policy.suspend or policy.mode is not Mode.REMEDIATE:
        return "the policy no longer allows it"
    return ""
