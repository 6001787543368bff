import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from controller.cli.explain import CannotExplain, explained
from controller.cli.explanation import Explanation, document, print_explanation
from controller.cli.main import main
from controller.decision.gates import GATES
from controller.decision.outcome import Action, HoldReason
from controller.decision.situation import Powers
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import MemoryPolicy, Mode
from controller.ports import MetricsUnavailable
from controller.sweep.judging import Covered
from controller.sweep.situations import SweepLimits
from tests.fakes import MIB, NOW, FakeWorld
from tests.sweep.test_flow import a_book, a_leaking_world, a_quick_policy, a_sweeper


async def explain(
    world: FakeWorld, policy: MemoryPolicy, *rivals: str, powers: Powers | None = None
) -> Explanation:
    (workload,) = world.inventory.standing.values()
    return await explained(
        Covered(workload, policy, rivals),
        await world.records.incidents(),
        world.ports.memory_sources,
        SweepLimits(powers=powers or Powers()),
        world.clock.now,
    )


@pytest.mark.parametrize(
    "policy",
    [a_quick_policy(mode=Mode.OBSERVE), a_quick_policy(suspend=True), a_quick_policy()],
    ids=["an observing policy", "a suspended policy", "a remediating policy"],
)
async def test_it_says_what_the_next_sweep_does(policy: MemoryPolicy) -> None:
    world = a_leaking_world()
    before = await explain(world, policy)

    census = await a_sweeper(world).sweep(a_book(policy), world.clock.now)

    decided = census.decided[0].decision
    assert decided is not None
    if before.decision.action is Action.CAPTURE:
        assert world.profiler.plans
    else:
        assert before.decision == decided


async def test_every_gate_answers_also_where_nothing_would_be_done_yet() -> None:
    explanation = await explain(a_leaking_world(), a_quick_policy(suspend=True), "shop/other")

    assert len(explanation.gates) == len(GATES)
    holding = [reply.hold.reason for reply in explanation.gates if reply.hold]
    assert HoldReason.POLICY_SUSPENDED in holding
    assert HoldReason.POLICY_CONFLICT in holding


async def test_what_the_controller_may_do_is_asked_too() -> None:
    explanation = await explain(a_leaking_world(), a_quick_policy(), powers=Powers(remediate=False))

    assert HoldReason.POWER_WITHHELD in [reply.hold.reason for reply in explanation.gates if reply.hold]


async def test_remediation_under_way_is_finished_first() -> None:
    world, policy = a_leaking_world(), a_quick_policy()
    await a_sweeper(world).sweep(a_book(policy), world.clock.now)
    (workload,) = world.inventory.standing.values()
    for replica in workload.replicas:
        key = ContainerKey("shop", replica.name, "app")
        world.memory.levels[key] = (replica.created_at, [60 * MIB, 61 * MIB])

    explanation = await explain(world, policy)

    assert explanation.finishing
    assert document(explanation)["incident"] == world.records.only.name


async def test_nothing_is_changed() -> None:
    world = a_leaking_world()

    await explain(world, a_quick_policy())

    assert (world.records.writes, world.profiler.plans, world.remediator.carried_out) == (0, [], [])
    assert world.announcer.notices == []


async def test_metrics_that_cannot_be_read_are_the_answer() -> None:
    world = a_leaking_world()
    world.memory.failure = MetricsUnavailable("nobody answers")

    with pytest.raises(CannotExplain, match="nobody answers"):
        await explain(world, a_quick_policy())


async def test_unknown_source_is_named() -> None:
    policy = a_quick_policy()
    policy = replace(policy, metrics=replace(policy.metrics, source="thanos"))

    with pytest.raises(CannotExplain, match="no metrics source is called 'thanos'"):
        await explain(a_leaking_world(), policy)


async def test_text_tells_policy_memory_tests_gates_and_conclusion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_explanation(await explain(a_leaking_world(), a_quick_policy(suspend=True)))

    told = capsys.readouterr().out
    for part in ("Deployment shop/api", "shop/api, Remediate", "▁", "MiB (", "Leaking (", "grownForSeconds"):
        assert part in told
    assert "PolicySuspended: policy shop/api has `suspend: true`" in told
    assert told.count("passes") + told.count("holds ") >= len(GATES)


async def test_json_holds_the_same() -> None:
    answer = json.loads(json.dumps(document(await explain(a_leaking_world(), a_quick_policy(suspend=True)))))

    assert answer["at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert answer["verdict"] == "Leaking"
    assert {one["pod"] for one in answer["containers"]} == {"api-1", "api-2"}
    assert all(one["tests"] and one["crossesThresholdAt"] for one in answer["containers"])
    assert len(answer["gates"]) == len(GATES)
    assert (answer["decision"]["action"], answer["decision"]["reason"]) == ("Capture", "KeepEvidence") or (
        answer["decision"]["reason"] == "PolicySuspended"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("api",), "KIND/NAME"),
        (("Pod/api",), "Deployment, StatefulSet, DaemonSet"),
        (("deploy/api",), "one of --prometheus URL and --config FILE"),
        (("deploy/api", "--prometheus", "ftp://x"), "ftp"),
    ],
)
def test_wrong_usage_is_told_as_such(arguments: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(main, ["explain", *arguments])

    assert result.exit_code == 2
    assert told in result.output


async def test_where_nothing_could_be_judged_that_is_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    world = a_leaking_world()
    for key, (_, levels) in world.memory.levels.items():
        world.memory.levels[key] = (world.clock.now, levels)

    print_explanation(await explain(world, a_quick_policy()))

    assert "InsufficientData: no replica could be" in " ".join(capsys.readouterr().out.split())
