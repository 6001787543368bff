"""
One workload that is not being remediated: open its incident, keep evidence, decide, order, tell.

Every side effect is written into the incident before it is caused, and every step can be taken again: after
a crash at any line the next sweep finds the incident where it stands and goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.decision.decide import decide, may_capture, may_keep_evidence
from controller.decision.mechanism import choose
from controller.decision.outcome import Action, Decision, Reason
from controller.decision.situation import Alerts, Captured, Situation
from controller.decision.wording import span_text
from controller.detection.assessment import Verdict
from controller.evidence.capture_plan import baseline_of, plan_captures
from controller.evidence.replica_context import plan_context
from controller.inventory.request import RequestKind
from controller.inventory.workload import Workload
from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import ApprovalRule
from controller.ports import World
from controller.remediation.order import order_remediation
from controller.reporting import incident_steps as steps
from controller.reporting import notices
from controller.reporting.incident import DiagnosisRecord, Incident
from controller.reporting.notices import Notice
from controller.sweep.finishing import Finisher
from controller.sweep.fleet import FleetLedger
from controller.sweep.present import Moment, Present
from controller.sweep.service import service_level
from controller.sweep.situations import with_evidence

GROWTH_ENDED_FRACTION = 1 / 48
"""An incident without a remediation is closed when nothing has grown for this share of the lookback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """What one workload's part of the sweep came to."""

    decision: Decision | None
    incident: Incident | None


class Attendant:
    """Carries one workload to its remediation. Holds only what may be forgotten."""

    def __init__(self, world: World, finisher: Finisher) -> None:
        self._world = world
        self._finisher = finisher
        self._last_growing: dict[str, datetime] = {}
        self._warned: dict[str, Reason] = {}

    def forget_all_but(self, uids: frozenset[str]) -> None:
        """Drops what is remembered about workloads that are gone."""
        for remembered in (self._last_growing, self._warned):
            for uid in set(remembered) - uids:
                del remembered[uid]

    async def attend(
        self, situation: Situation, incident: Incident | None, present: Present, fleet: FleetLedger
    ) -> Attended:
        """
        One workload that is not being remediated.

        `incident` is the newest of the workload's incidents that is open or could be opened again. `present`
        is asked just before an act, and `fleet` told.
        """
        growing = situation.judgement.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        decision = decide(situation)
        if not growing and not situation.requests:
            return Attended(decision=decision, incident=await self._calm(situation, incident, decision))
        self._last_growing[situation.workload.uid] = situation.now
        if not _worth_an_incident(situation, incident, decision):
            await self._warn(situation, decision)
            return Attended(decision=decision, incident=None)
        incident = await self._judged(situation, incident)
        incident = await self._hear(situation, incident)
        return await self._follow(situation, incident, present, fleet)

    async def _hear(self, situation: Situation, incident: Incident) -> Incident:
        """Writes down what people ask for by hand, and takes the profiles that they ask for."""
        for request in situation.requests:
            heard = steps.requested(incident, request, situation.now)
            if heard is not incident:
                await self._announce(notices.request_received(heard, request, situation.now))
            incident = await self._update(heard, incident)
            if request.kind is RequestKind.CAPTURE:
                incident = await self._keep(situation, incident, request.label)
        return incident

    async def _follow(
        self, situation: Situation, incident: Incident, present: Present, fleet: FleetLedger
    ) -> Attended:
        situation, workload = with_evidence(situation, incident), situation.workload
        decision = decide(situation)
        if decision.action is Action.CAPTURE:
            incident = await self._capture(situation, incident)
            situation = with_evidence(situation, incident)
            decision = decide(situation)
        incident = await self._keep_context(situation, incident, decision)
        service_before = None
        if decision.action is Action.REMEDIATE:
            service_before = await service_level(self._world, situation.policy, workload, situation.now)
            # Captures, and the workloads before this one, took their time: it is decided on what is now.
            alerts = await present.alerts(situation.policy)
            situation = _as_it_is(situation, await present.look(workload.ref, workload.uid), alerts)
            decision = decide(situation)
        if decision.action is Action.REMEDIATE:
            incident = await self._remediate(situation, incident, decision, service_before, fleet)
        elif decision.action is Action.HOLD:
            incident = await self._hold(situation, incident, decision)
        else:
            await self._warn(situation, decision)
        return Attended(decision=decision, incident=incident)

    async def _judged(self, situation: Situation, incident: Incident | None) -> Incident:
        """The incident with the newest judgement; opened, or opened again, where that is needed."""
        judgement, now = situation.judgement, situation.now
        if incident is None:
            new = steps.open_incident(
                situation.policy, situation.workload, judgement, situation.history.last, now
            )
        elif incident.open:
            new = steps.judged(incident, judgement, now)
        else:
            new = steps.detected(incident, judgement, now)
        growing = judgement.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
        if (
            growing
            and new.known_to_leak
            and not (incident is not None and incident.open and incident.known_to_leak)
        ):
            await self._announce(notices.leak_detected(new, situation.workload, judgement, now))
        return (
            await self._world.records.create(new) if incident is None else await self._update(new, incident)
        )

    async def _capture(self, situation: Situation, incident: Incident) -> Incident:
        return await self._keep(situation, incident, capture_stage(situation).name.lower())

    async def _keep(self, situation: Situation, incident: Incident, label: str) -> Incident:
        """Takes profiles under `label`; what could not be taken is written down in their place."""
        world, now = self._world, situation.now
        folder = f"{incident.namespace}/{incident.name}"
        plans = plan_captures(
            situation.workload,
            situation.judgement,
            situation.policy.evidence.pprof,
            folder,
            label,
        )
        allowed = may_capture(situation)
        files = tuple([file for plan in plans if allowed for file in await world.profiler.capture(plan)])
        files = files or steps.attempted(
            situation.judgement, label, _NO_ENDPOINT if allowed else _NOT_ALLOWED, now
        )
        kept = steps.captured(incident, files, label, now)
        kept = steps.diagnosed(kept, await self._diagnosis(situation, kept))
        await self._announce(notices.evidence_told(kept, situation.workload, files, now))
        return await self._update(kept, incident)

    async def _keep_context(self, situation: Situation, incident: Incident, decision: Decision) -> Incident:
        """What the platform tells of the worst replica: once early, once before an act."""
        late = decision.action is Action.REMEDIATE or incident.captured is Captured.LATE
        label = (Captured.LATE if late else Captured.EARLY).name.lower()
        if not may_keep_evidence(situation) or steps.has_context(incident, label):
            return incident
        plan = plan_context(situation.workload, situation.judgement, incident.folder, label)
        if plan is None:
            return incident
        files = await self._world.context.keep(plan)
        return await self._update(steps.context_kept(incident, files), incident)

    async def _diagnosis(self, situation: Situation, incident: Incident) -> DiagnosisRecord | None:
        worst = situation.judgement.worst
        return await self._world.diagnostician.diagnose(
            tuple(one for one in incident.status.evidence if one.container == worst.key.container),
            baseline_of(situation.workload, worst.key.pod, worst.key.container),
            rss_bytes=worst.used_bytes,
            limit_bytes=worst.limit_bytes,
        )

    async def _hold(self, situation: Situation, incident: Incident, decision: Decision) -> Incident:
        told = steps.decided(incident, decision, situation.now)
        if told is incident:
            return incident
        if incident.status.because != decision.reason.value:
            self._world.telemetry.held(incident.namespace, decision.reason.value)
            await self._announce(notices.held(told, situation.workload, decision, situation.now))
        return await self._update(told, incident)

    async def _remediate(
        self,
        situation: Situation,
        incident: Incident,
        decision: Decision,
        service_before: ServiceLevel | None,
        fleet: FleetLedger,
    ) -> Incident:
        choice = choose(situation)
        order = order_remediation(
            situation.workload,
            choice,
            incident=incident.name,
            memory_before_bytes=situation.judgement.worst.used_bytes,
            now=situation.now,
            approved_by=_approver(situation),
            service_before=service_before,
        )
        if choice.replicas and not order.stepwise:
            # Those it was chosen for went away by themselves: the next judgement is about others.
            return incident
        ordered = steps.ordered(incident, order, decision.reason.value, choice.because, situation.now)
        # Before it is written: whatever fails from here on may have been done, and counts for the others.
        fleet.note(ordered, situation.workload)
        return await self._finisher.carry_out(await self._update(ordered, incident), situation.now)

    async def _calm(
        self, situation: Situation, incident: Incident | None, decision: Decision
    ) -> Incident | None:
        """Nothing grows: warn where memory is high all the same, and close an incident that is over."""
        await self._warn(situation, decision)
        if incident is None or not incident.open:
            return None
        last = self._last_growing.setdefault(situation.workload.uid, situation.now)
        quiet = situation.now - last
        if quiet < _quiet_enough(situation):
            return incident
        return await self._close(incident, _why_calm(situation, incident), situation.now)

    async def close_where_nothing_runs(
        self, workload: Workload, incidents: Sequence[Incident], now: datetime
    ) -> Incident | None:
        """Ends the open incident of a workload that was scaled to nothing; None where there is none."""
        stays = any(not one.terminating for one in workload.replicas)
        incident = next((one for one in incidents if one.open and not one.ordered), None)
        if incident is None or workload.desired_replicas or stays:
            return None
        return await self._close(incident, "no replica runs: it was scaled to 0", now)

    async def _close(self, incident: Incident, why: str, now: datetime) -> Incident:
        closed = steps.growth_ended(incident, why, now)
        await self._announce(notices.growth_ended_told(closed, now))
        return await self._update(closed, incident)

    async def _warn(self, situation: Situation, decision: Decision) -> None:
        """High memory without an act, once until it is healthy again: a doubt that comes and goes is one."""
        uid = situation.workload.uid
        if decision.reason not in _WARNINGS:
            if situation.judgement.verdict is Verdict.HEALTHY:
                self._warned.pop(uid, None)
            return
        assert isinstance(decision.reason, Reason)  # noqa: S101  (`_WARNINGS` holds nothing else)
        if self._warned.get(uid) is decision.reason:
            return
        self._warned[uid] = decision.reason
        await self._announce(
            notices.warned(situation.workload, situation.judgement, decision.reason, situation.now)
        )

    async def _announce(self, told: tuple[Notice, ...]) -> None:
        """Before it is written: a crash in between tells twice, which is counted, rather than never."""
        await self._world.announcer.announce(told)

    async def _update(self, new: Incident, old: Incident) -> Incident:
        return old if new is old else await self._world.records.update(new)


_NO_ENDPOINT = "NoEndpoint: no ready replica's container has a pprof port in `evidence.pprof`"
_NOT_ALLOWED = (
    "NotAllowed: profiles need mode Capture or Remediate, a port in `evidence.pprof`, and nothing paused or "
    "suspended"
)
_WARNINGS = frozenset({Reason.MEMORY_HIGH, Reason.MEMORY_HIGH_UNJUDGED, Reason.MEMORY_HIGH_CAUSE_UNCLEAR})


def _as_it_is(situation: Situation, moment: Moment, alerts: Alerts) -> Situation:
    """The same judgement with everything around it as it is now; overtaken where nothing of it would hold."""
    fleet = replace(situation.fleet, alerts=alerts)
    situation = replace(situation, powers=moment.powers, now=moment.now, fleet=fleet)
    if moment.workload is None:
        return replace(situation, overtaken_because="the workload went away")
    if moment.covered is None:
        return replace(situation, overtaken_because="its policy stopped governing it")
    policy, before = moment.covered.policy, situation.policy
    same = (policy.uid, policy.generation) == (before.uid, before.generation)
    return replace(
        situation,
        workload=moment.workload,
        policy=policy,
        conflicting_policies=moment.covered.rivals,
        requests=tuple(one for one in situation.requests if one in moment.workload.requests),
        overtaken_because="" if same else f"policy {before.name} was changed",
    )


def _worth_an_incident(situation: Situation, incident: Incident | None, decision: Decision) -> bool:
    """A leak and a request always are; a suspicion where it goes on or a profile is to be kept for it."""
    if situation.judgement.verdict is Verdict.LEAKING or situation.requests:
        return True
    return decision.action is Action.CAPTURE or (incident is not None and incident.open)


def _approver(situation: Situation) -> str:
    """Who approved it, where somebody had to."""
    asked = situation.policy.remediation.approval is ApprovalRule.REQUIRED
    return situation.approval.by if asked and situation.approval else ""


def _quiet_enough(situation: Situation) -> timedelta:
    """For how long nothing must have grown: where there is too little to judge by, a whole lookback."""
    lookback = situation.policy.detection.lookback
    return lookback * GROWTH_ENDED_FRACTION if situation.judgement.verdict is Verdict.HEALTHY else lookback


def _why_calm(situation: Situation, incident: Incident) -> str:
    """Why nothing grows any more: it stopped, or the run that grew is over, or none is found any more."""
    if situation.judgement.verdict is not Verdict.HEALTHY:
        quiet = span_text(situation.policy.detection.lookback)
        return f"no growth was found for {quiet}; now: {situation.judgement.worst.message}"
    started_at = situation.judgement.worst.started_at
    if started_at is not None and started_at > incident.spec.opened_at:
        return "the run that grew has ended: its container was restarted or replaced; nothing grows now"
    return situation.judgement.worst.message


def capture_stage(situation: Situation) -> Captured:
    """What a capture of now is: late where an early one is kept or an act may follow at once."""
    if situation.captured:
        return Captured(situation.captured + 1)
    early = replace(situation, captured=Captured.EARLY)
    return Captured.LATE if decide(early).action is Action.CAPTURE else Captured.EARLY
