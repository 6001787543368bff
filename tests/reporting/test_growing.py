"""What a policy's status says of workloads that grow, and how seldom it is written."""

from dataclasses import replace
from datetime import timedelta

from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.inventory.workload import Platform, WorkloadRef
from controller.policy.memory_policy import Mode
from controller.reporting.census import policy_facts
from controller.reporting.growing import MOST_LISTED, Growing, growing
from controller.reporting.material import crossing_moved
from controller.reporting.policy_status import PolicyFacts, policy_status, status_document
from tests.fakes import NOW
from tests.sweep.test_flow import a_book, a_leaking_world, a_quick_policy, a_sweeper

HOUR = timedelta(hours=1)


async def a_leaking_judgement() -> Judgement:
    world = a_leaking_world()
    census = await a_sweeper(world).sweep(a_book(a_quick_policy(mode=Mode.OBSERVE)), world.clock.now)
    judgement = census.decided[0].judgement
    assert judgement is not None
    return judgement


def named(judgement: Judgement, name: str, verdict: Verdict, hours: float) -> tuple[WorkloadRef, Judgement]:
    worst = judgement.worst
    assert worst.crossing is not None
    crossing = replace(worst.crossing, likely=NOW + hours * HOUR)
    ref = WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", name)
    return ref, replace(judgement, worst=replace(worst, verdict=verdict, crossing=crossing))


async def test_sweep_lists_what_leaks_in_the_policys_status() -> None:
    world, policy = a_leaking_world(), a_quick_policy(mode=Mode.OBSERVE)

    census = await a_sweeper(world).sweep(a_book(policy), world.clock.now)

    facts = policy_facts(policy, census.decided, {})
    assert (facts.leaking, facts.unjudged) == (1, 0)
    (one,) = facts.growing
    assert one.workload == ("shop", "Deployment", "api")
    assert one.verdict is Verdict.LEAKING
    assert one.used_bytes
    assert one.crosses_threshold_at


async def test_suspects_are_listed_and_the_healthy_are_not() -> None:
    judgement = await a_leaking_judgement()
    found = growing(
        [
            named(judgement, "b", Verdict.SUSPECT, 1),
            named(judgement, "a", Verdict.LEAKING, 5),
            named(judgement, "c", Verdict.HEALTHY, 1),
            named(judgement, "d", Verdict.INSUFFICIENT_DATA, 1),
        ]
    )
    assert [(one.name, one.verdict) for one in found] == [("a", Verdict.LEAKING), ("b", Verdict.SUSPECT)]


async def test_where_there_are_too_many_those_with_time_are_left_out() -> None:
    judgement = await a_leaking_judgement()
    many = [
        named(judgement, f"w{hours:02}", Verdict.SUSPECT, hours) for hours in range(MOST_LISTED + 8, 0, -1)
    ]
    assert [one.name for one in growing(many)] == [f"w{hours:02}" for hours in range(1, MOST_LISTED + 1)]


async def test_status_is_written_again_only_when_a_number_moved_by_a_tenth() -> None:
    (one,) = growing([named(await a_leaking_judgement(), "api", Verdict.SUSPECT, 10)])
    one = replace(one, used_bytes=100)
    before = written(one, {})

    hardly = replace(one, used_bytes=105, crosses_threshold_at=NOW + 10.5 * HOUR, message="105 now")
    assert written(hardly, before) == before
    assert written(replace(one, used_bytes=111), before) != before
    assert written(replace(one, crosses_threshold_at=NOW + 12 * HOUR), before) != before
    assert written(replace(one, verdict=Verdict.LEAKING), before) != before
    assert written(replace(one, crosses_threshold_at=None), before) != before


async def test_what_could_not_be_judged_is_counted_apart() -> None:
    world, policy = a_leaking_world(), a_quick_policy(mode=Mode.OBSERVE)
    world.memory.levels.clear()

    census = await a_sweeper(world).sweep(a_book(policy), world.clock.now)

    facts = policy_facts(policy, census.decided, {})
    assert (facts.workloads, facts.leaking, facts.suspect, facts.unjudged) == (1, 0, 0, 1)


def written(one: Growing, before: dict[str, object]) -> dict[str, object]:
    facts = PolicyFacts(generation=1, workloads=1, suspect=1, growing=(one,))
    return status_document(policy_status(facts, NOW), before, NOW)


def test_crossing_that_is_past_does_not_move_with_the_clock() -> None:
    """Judged above the threshold, it is crossed now, whenever now is: that is no news."""
    assert not crossing_moved(NOW - HOUR, NOW, NOW)
    assert crossing_moved(NOW - HOUR, NOW + HOUR, NOW)
