from controller.policy.memory_policy import Mode
from controller.ports import PlatformUnavailable
from controller.reporting.incident import Incident, Phase
from tests.sweep.test_flow import a_leaking_world, a_quick_policy, a_sweeper, sweep_for


async def test_report_is_written_when_it_is_held_and_not_again_while_nothing_happens() -> None:
    world = a_leaking_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(mode=Mode.OBSERVE), sweeps=5)

    incident = world.records.only
    assert incident.status.report_uri == f"file:///{incident.folder}/report.html"
    assert len(world.reporter.written) == 1


async def test_last_report_knows_the_end_and_the_memory() -> None:
    world = a_leaking_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    reported, memory = world.reporter.written[-1]
    assert reported.status.phase is Phase.RESOLVED
    assert memory is not None
    assert f"bilgepump report {reported.name} -n shop" in world.announcer.notices[-1].message


async def test_failing_report_stands_in_nobodys_way() -> None:
    world = a_leaking_world()
    world.reporter.fails = True

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    assert world.records.only.status.phase is Phase.RESOLVED
    assert world.records.only.status.report_uri == ""
    assert world.records.only.status.reported_at is not None
    assert "bilgepump report" not in world.announcer.notices[-1].message


async def test_bug_in_a_report_ends_neither_the_sweep_nor_the_incident() -> None:
    world = a_leaking_world()

    async def broken(*_: object) -> str:
        raise RuntimeError("a bug")

    world.reporter.write = broken  # type: ignore[method-assign]
    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    assert world.records.only.status.phase is Phase.RESOLVED


async def test_report_that_could_not_be_noted_is_written_by_the_next_sweep() -> None:
    world = a_leaking_world()
    sweeper, policy = a_sweeper(world), a_quick_policy(mode=Mode.OBSERVE)
    update = world.records.update

    async def failing(incident: Incident) -> Incident:
        if incident.status.reported_at is not None:
            raise PlatformUnavailable("the API server went away")
        return await update(incident)

    world.records.update = failing  # type: ignore[method-assign]
    await sweep_for(world, sweeper, policy, sweeps=1)
    world.records.update = update  # type: ignore[method-assign]
    await sweep_for(world, sweeper, policy, sweeps=1)

    assert len(world.reporter.written) == 2
    assert world.records.only.status.report_uri
