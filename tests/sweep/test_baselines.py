from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.decision.situation import Situation
from controller.detection.assessment import Verdict
from controller.inventory.workload import Container
from controller.sweep.baselines import ASK_AGAIN_AFTER, RETRY_AFTER, Baselines
from tests.fakes import NOW, FakeProfiler, a_judgement, a_leaking_situation, a_replica, a_workload

YOUNG = timedelta(hours=2)


def a_situation(now: datetime = NOW, verdict: Verdict = Verdict.HEALTHY) -> Situation:
    workload = a_workload(replicas=(a_replica(created_at=now - YOUNG),))
    return a_leaking_situation(workload=workload, judgement=a_judgement(workload, verdict=verdict), now=now)


@pytest.fixture
def profiler() -> FakeProfiler:
    return FakeProfiler()


async def test_young_warm_replica_gives_one_baseline_for_its_image(profiler: FakeProfiler) -> None:
    baselines = Baselines(profiler)
    for minutes in range(0, 120, 5):
        await baselines.keep(a_situation(NOW + timedelta(minutes=minutes)))

    (plan,) = profiler.plans
    assert plan.folder == f"baselines/shop/{'a' * 24}-app"
    assert plan.label == "baseline"


async def test_other_image_has_its_own(profiler: FakeProfiler) -> None:
    baselines, other = Baselines(profiler), a_situation()
    await baselines.keep(a_situation())
    (replica,) = other.workload.replicas
    container = replica.containers[0]
    newer = a_replica(
        created_at=replica.created_at, containers=(_with_digest(container, "sha256:" + "b" * 64),)
    )
    workload = a_workload(replicas=(newer,))
    await baselines.keep(
        a_leaking_situation(workload=workload, judgement=a_judgement(workload, verdict=Verdict.HEALTHY))
    )

    assert [plan.folder[-28:] for plan in profiler.plans] == [f"{'a' * 24}-app", f"{'b' * 24}-app"]


@pytest.mark.parametrize("verdict", [Verdict.LEAKING, Verdict.SUSPECT])
async def test_replica_that_may_leak_gives_none(profiler: FakeProfiler, verdict: Verdict) -> None:
    await Baselines(profiler).keep(a_situation(verdict=verdict))

    assert profiler.plans == []


async def test_baseline_that_the_store_let_go_is_taken_anew(profiler: FakeProfiler) -> None:
    baselines = Baselines(profiler)
    await baselines.keep(a_situation())
    await baselines.keep(a_situation(NOW + RETRY_AFTER))
    profiler.plans.clear()

    await baselines.keep(a_situation(NOW + RETRY_AFTER + ASK_AGAIN_AFTER - timedelta(minutes=1)))
    assert profiler.plans == []
    await baselines.keep(a_situation(NOW + RETRY_AFTER + ASK_AGAIN_AFTER))
    assert len(profiler.plans) == 1


async def test_store_that_cannot_be_read_stops_nothing_and_is_asked_again(profiler: FakeProfiler) -> None:
    baselines = Baselines(profiler)
    profiler.unreadable = True
    await baselines.keep(a_situation())
    assert profiler.plans == []

    profiler.unreadable = False
    await baselines.keep(a_situation(NOW + RETRY_AFTER))
    assert len(profiler.plans) == 1


def _with_digest(container: Container, digest: str) -> Container:
    return replace(container, image_digest=digest)
