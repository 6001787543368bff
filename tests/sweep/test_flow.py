from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from controller.decision.situation import Powers
from controller.evidence.kept import FileKind
from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.book import PolicyBook, RejectedPolicy
from controller.policy.memory_policy import (
    DetectionRules,
    EvidenceRules,
    MemoryPolicy,
    Mode,
    NamedWorkload,
    PprofRule,
    RemediationRules,
    RequestRate,
    Target,
    WorkloadKind,
)
from controller.ports import MemoryRequest, MetricsUnavailable
from controller.reporting.incident import Phase
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import MIB, NOW, FakeWorld, a_replica, a_workload
from tests.sweep.worlds import MINUTE, a_quick_policy, new_replicas_are_small


def a_leaking_world() -> FakeWorld:
    """Two replicas that climbed in a straight line for 20 h and are just short of the threshold."""
    world = FakeWorld(a_workload())
    for pod in ("api-1", "api-2"):
        straight = [60 * MIB, 352 * MIB]
        world.memory.levels[ContainerKey("shop", pod, "app")] = (NOW - timedelta(hours=20), straight)
    return world


def a_sweeper(world: FakeWorld) -> Sweeper:
    return Sweeper(world.ports, lambda: SweepLimits(powers=Powers()), Retention())


def a_book(*policies: MemoryPolicy) -> PolicyBook:
    return PolicyBook(accepted=policies)


async def sweep_for(
    world: FakeWorld, sweeper: Sweeper, policy: MemoryPolicy, sweeps: int, every: timedelta = MINUTE
) -> None:
    for _ in range(sweeps):
        await sweeper.sweep(a_book(policy), world.clock.now)
        new_replicas_are_small(world)
        world.clock.pass_time(every)


async def test_leak_is_captured_restarted_and_proven_once() -> None:
    world = a_leaking_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    assert len(world.remediator.carried_out) == 1
    incident = world.records.only
    assert incident.status.phase is Phase.RESOLVED
    assert [entry.what for entry in incident.status.timeline] == [
        "Leaking",
        "ProfilesKept",
        "RestartOrdered",
        "RestartStarted",
        "RolledOut",
        "Recovered",
    ]
    assert world.announcer.reasons == [
        "MemoryLeakDetected",
        "MemoryLeakDetected",
        "HeapProfileKept",
        "LeakRestartStarted",
        "LeakRecoveryConfirmed",
    ]


async def test_profile_is_kept_before_the_restart() -> None:
    world = a_leaking_world()
    restarts_when_captured: list[int] = []
    capture = world.profiler.capture

    async def watched(plan: Any) -> Any:
        restarts_when_captured.append(len(world.remediator.carried_out))
        return await capture(plan)

    world.profiler.capture = watched  # type: ignore[method-assign]
    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=2)

    assert restarts_when_captured[0] == 0
    assert len(world.remediator.carried_out) == 1


async def test_what_the_replica_told_is_kept_before_the_restart_also_without_pprof() -> None:
    world = a_leaking_world()
    await sweep_for(world, a_sweeper(world), a_quick_policy(evidence=EvidenceRules()), sweeps=15)

    assert world.profiler.plans == []
    assert [plan.label for plan in world.context.plans][-1] == "late"
    assert len(world.context.plans) == len({plan.label for plan in world.context.plans})
    kept = [file for file in world.records.only.status.evidence if file.kind is FileKind.CONTEXT]
    assert {file.label for file in kept} == {plan.label for plan in world.context.plans}
    assert world.remediator.carried_out


async def test_observing_asks_replicas_for_nothing() -> None:
    world = a_leaking_world()
    await sweep_for(world, a_sweeper(world), a_quick_policy(mode=Mode.OBSERVE), sweeps=5)

    assert world.context.plans == world.profiler.plans == []


async def test_observe_changes_nothing_and_says_what_it_would_do() -> None:
    world = a_leaking_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(mode=Mode.OBSERVE), sweeps=5)

    assert world.remediator.carried_out == []
    assert world.profiler.plans == []
    assert world.records.only.status.phase is Phase.OBSERVED
    assert world.announcer.reasons.count("HeldObserveOnly") == 1


async def test_nothing_is_written_while_nothing_changes() -> None:
    world = a_leaking_world()
    sweeper, policy = a_sweeper(world), a_quick_policy(mode=Mode.OBSERVE)
    await sweep_for(world, sweeper, policy, sweeps=1)
    writes, notices = world.records.writes, len(world.announcer.notices)

    for _ in range(5):
        await sweeper.sweep(a_book(policy), world.clock.now)

    assert world.records.writes == writes
    assert len(world.announcer.notices) == notices


async def test_failed_recovery_is_told_and_holds_until_acknowledged() -> None:
    world = a_leaking_world()
    sweeper = a_sweeper(world)
    policy = a_quick_policy(
        detection=DetectionRules(minimum_age=timedelta()),
        remediation=RemediationRules(lead_time=timedelta(minutes=90), cooldown=timedelta()),
    )
    await sweep_for(world, sweeper, policy, sweeps=1)
    for replica in world.inventory.standing[a_workload().ref].replicas:
        full = (replica.created_at, [340 * MIB, 345 * MIB])
        world.memory.levels[ContainerKey("shop", replica.name, "app")] = full

    await sweep_for(world, sweeper, policy, sweeps=14)

    assert world.records.only.status.phase is Phase.FAILED
    assert world.announcer.reasons[-1] == "LeakRecoveryFailed"
    command = f"bilgepump acknowledge {world.records.only.name} -n shop"
    assert command in world.records.only.status.message
    assert command in world.announcer.notices[-1].message
    ledger = world.records.only.status.ledger
    assert ledger is not None
    assert (ledger.replicas_replaced, ledger.oom_kills_avoided, ledger.memory_saved_byte_hours) == (2, 0, 0)


async def test_missing_metrics_mean_no_act_and_a_word_to_the_policy() -> None:
    world = a_leaking_world()
    world.memory.failure = MetricsUnavailable("nobody answers")
    sweeper = a_sweeper(world)

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=3)

    assert world.remediator.carried_out == []
    assert world.records.statuses["shop/api"].metrics_missing_because == "nobody answers"
    assert world.announcer.reasons == ["MetricsUnavailable"]

    world.memory.failure = None
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)

    assert "MetricsRestored" in world.announcer.reasons
    assert len(world.remediator.carried_out) == 1


async def test_source_too_young_for_a_longer_history_is_judged_without() -> None:
    world = a_leaking_world()
    world.memory.keeps_history = True
    memory = world.memory.memory

    async def young(request: MemoryRequest, now: datetime) -> BlockMatrix:
        if request.lookback > DetectionRules().lookback:
            raise MetricsUnavailable("knows nothing that old")
        return await memory(request, now)

    world.memory.memory = young  # type: ignore[method-assign]
    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=1)

    assert len(world.remediator.carried_out) == 1


async def test_unknown_request_rate_holds_only_those_whose_policy_wants_it() -> None:
    """Without it, load that grows would be taken for a leak."""
    world = a_leaking_world()
    memory = world.memory.memory

    async def without_rate(request: MemoryRequest, now: datetime) -> BlockMatrix:
        return replace(await memory(request, now), rate_unknown={"shop": "the rate is not known"})

    world.memory.memory = without_rate  # type: ignore[method-assign]
    policy = a_quick_policy()
    wants = replace(
        policy, metrics=replace(policy.metrics, request_rate=RequestRate(metric="requests_total"))
    )
    await sweep_for(world, a_sweeper(world), wants, sweeps=1)

    assert world.remediator.carried_out == []
    assert world.records.statuses["shop/api"].metrics_missing_because == "the rate is not known"

    await sweep_for(world, a_sweeper(world), policy, sweeps=1)

    assert len(world.remediator.carried_out) == 1
    assert world.records.statuses["shop/api"].metrics_missing_because == ""


async def test_lookback_that_cannot_be_read_ends_no_other_and_history_is_asked_for_last() -> None:
    world = a_leaking_world()
    world.memory.keeps_history = True
    memory, asked = world.memory.memory, []
    quick = a_policy_for("api", DetectionRules().lookback)
    slow, week = a_policy_for("db", timedelta(days=4)), a_policy_for("queue", timedelta(days=7))
    for name in ("db", "queue"):
        other = replace(a_workload(), ref=replace(a_workload().ref, name=name), uid=name)
        world.inventory.standing[other.ref] = other

    async def answers(request: MemoryRequest, now: datetime) -> BlockMatrix:
        asked.append(request.blocks)
        if request.lookback == slow.detection.lookback:
            raise MetricsUnavailable("too slow")
        return await memory(request, now)

    world.memory.memory = answers  # type: ignore[method-assign]
    await a_sweeper(world).sweep(a_book(slow, quick, week), world.clock.now)

    told = {name: one.metrics_missing_because for name, one in world.records.statuses.items()}
    assert told == {"shop/db": "too slow", "shop/api": "", "shop/queue": ""}
    assert asked == [576, 576, 576, 240, 240]


def a_policy_for(name: str, lookback: timedelta) -> MemoryPolicy:
    """Of one Deployment."""
    policy = a_quick_policy(name=name, uid=name)
    return replace(
        policy,
        target=Target(workloads=(NamedWorkload(kind=WorkloadKind.DEPLOYMENT, name=name),)),
        detection=replace(policy.detection, lookback=lookback),
    )


async def test_unknown_source_is_named_with_those_that_are_known() -> None:
    world = a_leaking_world()
    policy = a_quick_policy()
    policy = replace(policy, metrics=replace(policy.metrics, source="thanos"))

    await sweep_for(world, a_sweeper(world), policy, sweeps=1)

    message = world.records.statuses["shop/api"].metrics_missing_because
    assert message == "no metrics source is called 'thanos'; configured are: default"


async def test_one_workloads_failure_is_not_anothers() -> None:
    world = a_leaking_world()
    other = replace(a_workload(), ref=replace(a_workload().ref, name="aaa"), uid="other")
    other = replace(other, replicas=(a_replica("aaa-1"), a_replica("aaa-2")))
    world.inventory.standing[other.ref] = other
    for pod in ("aaa-1", "aaa-2"):
        levels = (NOW - timedelta(hours=20), [60 * MIB, 355 * MIB])
        world.memory.levels[ContainerKey("shop", pod, "app")] = levels
    create = world.records.create

    async def fails_for_other(incident: Any) -> Any:
        if incident.spec.workload.name == "aaa":
            raise RuntimeError("broken")
        return await create(incident)

    world.records.create = fails_for_other  # type: ignore[method-assign]

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=1)

    assert [order.workload.name for order in world.remediator.carried_out] == ["api"]


async def test_rejected_policy_is_told_and_the_others_go_on() -> None:
    world = a_leaking_world()
    rejected = RejectedPolicy(
        namespace="shop", name="bad", uid="bad-uid", generation=1, problems="spec.mode: must be one of"
    )
    book = PolicyBook(accepted=(a_quick_policy(),), rejected=(rejected,))

    await a_sweeper(world).sweep(book, NOW)

    assert world.records.statuses["shop/bad"].rejected_because == "spec.mode: must be one of"
    assert "PolicyInvalid" in world.announcer.reasons
    assert len(world.remediator.carried_out) == 1


async def test_policies_that_claim_the_same_workload_hold_each_other() -> None:
    world = a_leaking_world()
    book = a_book(a_quick_policy(), a_quick_policy(name="other", uid="other-uid"))

    await a_sweeper(world).sweep(book, NOW)

    assert world.remediator.carried_out == []
    assert "HeldPolicyConflict" in world.announcer.reasons


async def test_second_workload_waits_for_the_slot() -> None:
    world = a_leaking_world()
    other = replace(a_workload(), ref=replace(a_workload().ref, name="cart"), uid="other")
    other = replace(other, replicas=(a_replica("cart-1"), a_replica("cart-2")))
    world.inventory.standing[other.ref] = other
    for pod in ("cart-1", "cart-2"):
        levels = (NOW - timedelta(hours=20), [60 * MIB, 355 * MIB])
        world.memory.levels[ContainerKey("shop", pod, "app")] = levels

    await a_sweeper(world).sweep(a_book(a_quick_policy()), NOW)

    assert len(world.remediator.carried_out) == 1
    assert "HeldTooManyAtOnce" in world.announcer.reasons


async def test_without_the_lease_nothing_is_done_and_the_order_is_voided_in_time() -> None:
    world = a_leaking_world()
    world.leadership.leads = False

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=4)

    assert world.remediator.carried_out == []
    whats = [entry.what for entry in world.records.only.status.timeline]
    assert "OrderVoided" in whats


async def test_policy_switched_off_between_order_and_act_voids_the_order() -> None:
    world = a_leaking_world()
    world.leadership.leads = False
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
    world.leadership.leads = True

    await sweep_for(world, sweeper, a_quick_policy(suspend=True), sweeps=2)

    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "PolicySuspended"


async def test_kill_switch_between_order_and_act_voids_the_order() -> None:
    world = a_leaking_world()
    world.leadership.leads = False
    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=1)
    world.leadership.leads = True
    switched_off = Powers(suspended_because="maintenance")
    suspended = Sweeper(world.ports, lambda: SweepLimits(powers=switched_off), Retention())

    await sweep_for(world, suspended, a_quick_policy(), sweeps=2)

    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "ControllerSuspended"


async def test_kill_switch_thrown_while_profiles_are_taken_is_obeyed_in_the_same_sweep() -> None:
    world = a_leaking_world()
    powers = Powers()
    capture = world.profiler.capture

    async def thrown_meanwhile(plan: Any) -> Any:
        nonlocal powers
        powers = Powers(suspended_because="maintenance")
        return await capture(plan)

    world.profiler.capture = thrown_meanwhile  # type: ignore[method-assign]
    sweeper = Sweeper(world.ports, lambda: SweepLimits(powers=powers), Retention())

    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)

    assert world.profiler.plans
    assert world.remediator.carried_out == []
    assert world.records.only.status.because == "ControllerSuspended"


async def test_deleted_policy_closes_what_had_not_acted() -> None:
    world = a_leaking_world()
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, a_quick_policy(mode=Mode.OBSERVE), sweeps=1)

    await sweeper.sweep(PolicyBook(), world.clock.now)

    assert world.records.only.status.because == "NotGoverned"
    assert not world.records.only.open


async def test_deleted_policy_does_not_stop_a_verification() -> None:
    world = a_leaking_world()
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)

    for _ in range(30):
        await sweeper.sweep(PolicyBook(), world.clock.pass_time(MINUTE))

    assert not world.records.only.open


async def test_refused_order_is_tried_again_ever_later() -> None:
    world = a_leaking_world()
    world.remediator.refusal = "admission webhook `keep` denied the request"

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=60)

    incident = world.records.only
    orders = [entry.at for entry in incident.status.timeline if entry.what == "RestartOrdered"]
    assert [after - before for before, after in pairwise(orders)] == [
        minutes * MINUTE for minutes in (1, 2, 4, 8, 16)
    ]
    assert incident.status.because == "RetryLater"
    assert "denied the request" in incident.status.message
    assert world.announcer.reasons.count("LeakRestartRefused") == 6

    world.remediator.refusal = ""
    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=20)
    assert len(world.remediator.carried_out) == 1


async def test_capture_that_fails_again_as_before_is_told_once() -> None:
    world = a_leaking_world()
    world.profiler.failure = "connection refused"
    required = EvidenceRules(pprof=(PprofRule(container="app", port=6060),), required=True)

    await sweep_for(world, a_sweeper(world), a_quick_policy(evidence=required), sweeps=30)

    told = [entry.what for entry in world.records.only.status.timeline]
    assert told == ["Leaking", "CaptureFailed", "EvidenceMissing"]
    assert len(world.profiler.plans) > 4


async def test_incident_of_a_workload_that_was_scaled_to_nothing_is_closed() -> None:
    world, policy = a_leaking_world(), a_quick_policy(mode=Mode.OBSERVE)
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, policy, sweeps=2)
    assert world.records.only.open
    (workload,) = world.inventory.standing.values()
    world.inventory.standing[workload.ref] = replace(
        workload, desired_replicas=0, ready_replicas=0, replicas=()
    )

    await sweep_for(world, sweeper, policy, sweeps=1)

    incident = world.records.only
    assert (incident.status.phase, incident.status.because) == (Phase.RESOLVED, "GrowthEnded")
    assert "scaled to 0" in incident.status.message
    assert world.announcer.reasons.count("MemoryGrowthEnded") == 1


async def test_incident_stays_open_while_only_the_metrics_are_missing() -> None:
    world, policy = a_leaking_world(), a_quick_policy(mode=Mode.OBSERVE)
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, policy, sweeps=2)
    world.memory.failure = MetricsUnavailable("no answer")

    await sweep_for(world, sweeper, policy, sweeps=3, every=timedelta(hours=20))

    assert world.records.only.open


async def test_incident_of_runs_that_are_always_too_young_is_closed_after_a_lookback() -> None:
    world, policy = a_leaking_world(), a_quick_policy(mode=Mode.OBSERVE)
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, policy, sweeps=2)
    lookback = policy.detection.lookback

    async def run_anew(span: timedelta) -> None:
        world.clock.pass_time(span)
        for key in world.memory.levels:
            world.memory.levels[key] = (world.clock.now - MINUTE, [60 * MIB, 61 * MIB])
        await sweeper.sweep(a_book(policy), world.clock.now)

    await run_anew(lookback - timedelta(minutes=5))
    assert world.records.only.open
    await run_anew(timedelta(minutes=5))

    assert world.records.only.status.because == "GrowthEnded"
    assert "no growth was found for" in world.records.only.status.message
