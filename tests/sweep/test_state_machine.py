"""
Anything in any order: samples, deploys, crashes, a lost lease, clocks that jump, edits of the policy, also in
the middle of a sweep.

Whatever hypothesis tries, on both platforms: nothing is begun while it may not be, nothing is done twice,
nobody is left short of replicas, and every incident ends.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.decision.gates.usefulness import OLDEST_USABLE_JUDGEMENT
from controller.evidence.capture_plan import CapturePlan
from controller.evidence.kept import KeptFile
from controller.inventory.workload import DisruptionBudget, Workload
from controller.metrics.series import ContainerKey
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import Mode
from controller.ports import MetricsUnavailable
from controller.reporting.incident import Incident
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import MIB, FakeWorld, a_replica
from tests.sweep.test_crash_matrix import Killed, Killer, instrumented
from tests.sweep.worlds import MINUTE, SCENES, Scene, new_replicas_are_small

BEGINS = frozenset({"Restart", "Release", "Evict", "Deploy", "Stop"})
"""What a remediation begins with; the rest of what it does finishes what was begun."""

LONG_ENOUGH = 400
"""So many minutes after the last surprise everything that was begun must be over."""


class AnythingGoes(RuleBasedStateMachine):
    """One workload that leaks, one controller, and everything that can come between them."""

    world: FakeWorld
    scene: Scene

    @initialize(scene=st.sampled_from(SCENES))
    def begin(self, scene: Scene) -> None:
        self.scene, self.policy, self.world = scene, scene.policy, scene.world()
        self.loop = asyncio.Runner()
        self.killer = Killer()
        self.sweeper = self._new_controller()
        self.metrics_read = True
        self.ordered: dict[str, datetime] = {}
        """When each order was first seen, in true time."""
        self.true_time = self.world.clock.now
        self.jumped = timedelta()
        self.seen_acts = 0
        self.deploys = 0
        self.capture, self.world.profiler.capture = self.world.profiler.capture, self._capture
        self.meanwhile: dict[str, Any] = {}
        """What the policy becomes while the next profiles are taken."""
        self.capture_takes = timedelta()

    def _new_controller(self) -> Sweeper:
        self.killer = Killer()
        return Sweeper(instrumented(self.world.ports, self.killer), SweepLimits, Retention())

    async def book(self) -> PolicyBook:
        """The policies as they are whenever somebody asks."""
        return PolicyBook(accepted=(self.policy,))

    async def _capture(self, plan: CapturePlan) -> tuple[KeptFile, ...]:
        self._pass(self.capture_takes)
        if self.meanwhile:
            self._edit(**self.meanwhile)
        self.capture_takes, self.meanwhile = timedelta(), {}
        return await self.capture(plan)

    @property
    def workload(self) -> Workload:
        (workload,) = self.world.inventory.standing.values()
        return workload

    def _stand(self, **changes: Any) -> None:
        self.world.inventory.standing[self.workload.ref] = replace(self.workload, **changes)

    def _incidents(self) -> tuple[Incident, ...]:
        return self.loop.run(self.world.records.incidents())

    # -- what happens ---------------------------------------------------------------------------------

    @rule(sweeps=st.integers(1, 12))
    def sweep(self, sweeps: int) -> None:
        for _ in range(sweeps):
            self._sweep()

    @rule(at=st.integers(1, 30))
    def killed_in_a_sweep(self, at: int) -> None:
        self.killer.at = self.killer.counted + at
        self._sweep()
        self.sweeper = self._new_controller()

    @rule(minutes=st.integers(1, 180))
    def time_passes(self, minutes: int) -> None:
        self._pass(minutes * MINUTE)

    @rule(minutes=st.integers(-30, 120))
    def clock_jumps(self, minutes: int) -> None:
        self.world.clock.pass_time(minutes * MINUTE)
        self.jumped += abs(minutes) * MINUTE

    @rule()
    def a_day_passes_and_it_leaks_again(self) -> None:
        self._pass(timedelta(hours=20))
        for replica in self.workload.replicas:
            key = ContainerKey(self.workload.ref.namespace, replica.name, "app")
            self.world.memory.levels[key] = (
                self.world.clock.now - timedelta(hours=20),
                [60 * MIB, 352 * MIB],
            )

    @rule()
    def somebody_deploys(self) -> None:
        self.deploys += 1
        generation = self.workload.generation + 1
        fresh = tuple(
            a_replica(
                f"api-d{self.deploys}-{number}",
                uid=f"uid-d{self.deploys}-{number}",
                created_at=self.world.clock.now,
                revision=f"d{generation}",
            )
            for number in range(self.workload.desired_replicas)
        )
        self._stand(
            generation=generation,
            replicas=fresh,
            ready_replicas=len(fresh),
            template_revision=f"d{generation}",
        )

    @rule(leads=st.booleans())
    def the_lease(self, leads: bool) -> None:
        self.world.leadership.leads = leads

    @rule(answers=st.booleans())
    def the_metrics(self, answers: bool) -> None:
        self.world.memory.failure = None if answers else MetricsUnavailable("nobody answers")

    @rule(works=st.booleans())
    def the_captures(self, works: bool) -> None:
        self.world.profiler.failure = "" if works else "connection refused"

    @rule(mode=st.sampled_from(Mode), suspend=st.booleans(), required=st.booleans())
    def the_policy_is_edited(self, mode: Mode, suspend: bool, required: bool) -> None:
        self._edit(mode=mode, suspend=suspend, evidence=replace(self.policy.evidence, required=required))

    @rule(minutes=st.integers(0, 12), mode=st.sampled_from(Mode), suspend=st.booleans(), edits=st.booleans())
    def the_next_profiles_take_their_time(self, minutes: int, mode: Mode, suspend: bool, edits: bool) -> None:
        self.capture_takes = minutes * MINUTE
        self.meanwhile = {"mode": mode, "suspend": suspend} if edits else {}

    def _edit(self, **changes: Any) -> None:
        self.policy = replace(self.policy, generation=self.policy.generation + 1, **changes)

    @rule(by=st.sampled_from(["", "ana: release day"]))
    def somebody_pauses_it(self, by: str) -> None:
        self._stand(paused_by=by)

    @precondition(lambda self: self.scene.policy.target.ecs is None)
    @rule(allowed=st.integers(0, 1))
    def the_budget_changes(self, allowed: int) -> None:
        self._stand(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=allowed),))

    @rule()
    def a_person_acknowledges(self) -> None:
        newest = max(self._incidents(), key=lambda one: one.spec.opened_at, default=None)
        self._stand(acknowledged=newest.name if newest else "")

    # -- what must be true ----------------------------------------------------------------------------

    def _sweep(self) -> None:
        may_begin, judged_at = self._may_begin(), self.world.clock.now
        metrics, budget = self.world.memory.failure is None, self._budget_allows()
        known = {one.name for one in self._incidents() if one.ordered}
        try:
            self.loop.run(self._one_turn())
        except Killed:
            self.sweeper = self._new_controller()
        new_replicas_are_small(self.world)
        begun = [act for act in self.world.acts[self.seen_acts :] if act[0] in BEGINS]
        self.seen_acts = len(self.world.acts)
        # The policy is edited between sweeps or while profiles are taken, which is before any act.
        may_begin = may_begin and self._may_begin()
        assert not begun or may_begin, f"{begun} was begun although it might not be"
        for incident in self._incidents():
            if incident.ordered and incident.name not in known:
                self._order_is_sound(incident, judged_at, metrics, budget)
        self._pass(MINUTE)

    async def _one_turn(self) -> None:
        await self.sweeper.sweep(self, self.world.clock.now)
        if self.sweeper.following:
            await self.sweeper.follow(self, self.world.clock.now)

    def _may_begin(self) -> bool:
        return (
            self.world.leadership.leads
            and self.policy.mode is Mode.REMEDIATE
            and not self.policy.suspend
            and not self.workload.paused_by
        )

    def _budget_allows(self) -> bool:
        return all(one.disruptions_allowed > 0 for one in self.workload.disruption_budgets)

    def _order_is_sound(self, incident: Incident, judged_at: datetime, metrics: bool, budget: bool) -> None:
        assert metrics, "ordered on a judgement that no metrics stand behind"
        assert budget, "ordered although a PodDisruptionBudget allows nothing"
        assert self.policy.mode is Mode.REMEDIATE
        assert not self.policy.suspend
        assert incident.kept_heap or not self.policy.evidence.required, "ordered without required evidence"
        order = incident.status.order
        assert order is not None
        age = order.issued_at - judged_at
        assert age <= OLDEST_USABLE_JUDGEMENT, f"ordered on a judgement that was {age} old"
        if incident.status.receipt is None:
            return
        cooldown = self.policy.remediation.cooldown - self.jumped
        for name, at in self.ordered.items():
            assert self.true_time - at >= cooldown, f"{incident.name} within the cooldown after {name}"
        self.ordered[incident.name] = self.true_time

    @invariant()
    def nobody_is_left_short(self) -> None:
        """One replica may be missing while its replacement starts, and never two."""
        standing = [one for one in self.workload.replicas if not one.released_for]
        assert len(standing) >= self.workload.desired_replicas - 1

    @invariant()
    def one_incident_at_most_is_open(self) -> None:
        assert sum(one.open for one in self._incidents()) <= 1

    def _pass(self, span: timedelta) -> None:
        self.world.clock.pass_time(span)
        self.true_time += span

    def teardown(self) -> None:
        """All is well again: what was begun is finished, and nothing is left lying about."""
        if not hasattr(self, "world"):
            return
        try:
            self._calm_down()
            for _ in range(LONG_ENOUGH):
                self._sweep()
                if not any(one.open and one.ordered for one in self._incidents()):
                    break
            assert not [one.name for one in self._incidents() if one.open and one.ordered]
            assert not [one.name for one in self.workload.replicas if one.released_for or one.terminating]
            assert len(self.workload.replicas) == self.workload.desired_replicas
        finally:
            self.loop.close()

    def _calm_down(self) -> None:
        self.world.leadership.leads = True
        self.world.memory.failure = None
        self.world.profiler.failure = ""
        self.policy = replace(self.scene.policy, mode=Mode.OBSERVE)
        self._stand(paused_by="")


QUICK = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = QUICK


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestAnythingGoesForLong(AnythingGoes.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(QUICK, max_examples=300, stateful_step_count=40)
