"""Kubernetes and ECS in one sweep: who is asked, and where people are told."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Workload
from controller.platforms.both import EventsOnPolicies, InventoryOfBoth, RemediatorOfBoth
from controller.policy.memory_policy import EcsTarget, MemoryPolicy, Target
from controller.ports import PlatformUnavailable
from controller.remediation.order import Leftover, order_remediation
from controller.reporting import notices
from controller.reporting.incident import Phase
from tests.ecs.conftest import REF, TARGET
from tests.fakes import (
    NOW,
    FakeAnnouncer,
    FakeInventory,
    FakeWorld,
    a_judgement,
    a_policy,
    a_workload,
)
from tests.fakes import (
    REF as KUBERNETES_REF,
)
from tests.sweep.test_flow import a_book, a_sweeper

ON_ECS = Target(ecs=TARGET, containers=("app",))
ECS_POLICY = a_policy(name="services", uid="ecs-policy-uid", target=ON_ECS)


class EcsFake(FakeInventory):
    """An inventory of services that may not answer."""

    def __init__(self, *workloads: Workload) -> None:
        super().__init__(*workloads)
        self.failure = ""

    @property
    def seen(self) -> tuple[Workload, ...]:
        return tuple(self.standing.values())

    async def workloads(self, namespaces: frozenset[str]) -> tuple[Workload, ...]:
        if self.failure:
            self.unread = {ECS_POLICY.key: self.failure}
            raise PlatformUnavailable(self.failure)
        return await super().workloads(namespaces)


def a_service(**changes: Any) -> Workload:
    return a_workload(**{"ref": REF, "uid": "service-uid", **changes})


def both(ecs: EcsFake, *workloads: Workload, policies: Sequence[MemoryPolicy] = ()) -> InventoryOfBoth:
    known = policies or (a_policy(), ECS_POLICY)
    return InventoryOfBoth(FakeInventory(*workloads), ecs, lambda: known)  # type: ignore[arg-type]


async def test_one_sweep_sees_both_platforms() -> None:
    found = await both(EcsFake(a_service()), a_workload()).workloads(frozenset({"shop"}))

    assert [one.ref for one in found] == [KUBERNETES_REF, REF]


async def test_namespace_with_services_only_is_not_listed_in_the_cluster() -> None:
    inventory = both(EcsFake(a_service()), a_workload(), policies=(ECS_POLICY,))

    assert [one.ref for one in await inventory.workloads(frozenset({"shop"}))] == [REF]


async def test_fresh_look_goes_to_the_platform_of_the_workload() -> None:
    inventory = both(EcsFake(a_service()), a_workload())

    for ref in (REF, KUBERNETES_REF):
        found = await inventory.workload(ref)
        assert found is not None
        assert found.ref == ref


async def test_order_goes_to_the_platform_of_its_workload() -> None:
    kubernetes, ecs = FakeWorld(a_workload()), FakeWorld(a_service())
    remediator = RemediatorOfBoth(kubernetes.remediator, ecs.remediator)

    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
    await remediator.carry_out(
        order_remediation(a_service(), choice, incident="i", memory_before_bytes=1, now=NOW)
    )

    assert len(ecs.remediator.carried_out) == 1
    assert kubernetes.remediator.carried_out == []


class TidyingFake:
    """A remediator that ends these, or fails."""

    def __init__(self, *ended: Leftover, failure: str = "") -> None:
        self._ended, self._failure = ended, failure

    async def tidy(self, unfinished: Collection[str], /) -> tuple[Leftover, ...]:
        if self._failure:
            raise PlatformUnavailable(self._failure)
        return self._ended


LEFT = Leftover(incident="i", namespace="shop", replica="api-1", replica_uid="u", returned=False)


@pytest.mark.parametrize(
    "platforms",
    [
        (TidyingFake(LEFT), TidyingFake(failure="AWS: throttled")),
        (TidyingFake(failure="API server: 500"), TidyingFake(LEFT)),
    ],
    ids=["ECS fails", "Kubernetes fails"],
)
async def test_what_one_platform_ended_is_told_although_the_other_fails(
    platforms: tuple[TidyingFake, TidyingFake],
) -> None:
    assert await RemediatorOfBoth(*platforms).tidy(()) == (LEFT,)  # type: ignore[arg-type]


async def test_failure_is_raised_where_nothing_was_ended() -> None:
    remediator = RemediatorOfBoth(TidyingFake(), TidyingFake(failure="AWS: throttled"))  # type: ignore[arg-type]
    with pytest.raises(PlatformUnavailable, match="AWS: throttled"):
        await remediator.tidy(())


async def test_aws_that_does_not_answer_closes_no_incident_and_keeps_nothing_in_the_cluster_waiting() -> None:
    ecs = EcsFake(a_service())
    world = FakeWorld(a_workload())
    world.inventory = both(ecs, a_workload())  # type: ignore[assignment]
    world.memory.levels.clear()
    from tests.ecs.test_records import an_incident

    kept = an_incident()
    kept = replace(kept, spec=replace(kept.spec, policy=replace(kept.spec.policy, name=ECS_POLICY.name)))
    await world.records.create(kept)
    ecs.failure = "ECS list_services: AccessDenied: the role may not be assumed"

    found = await a_sweeper(world).sweep(a_book(a_policy(), ECS_POLICY), NOW)

    assert [seen.workload.ref for seen in found.decided] == [KUBERNETES_REF]
    assert world.records.only.status.phase is Phase.DETECTED
    facts = world.records.statuses["shop/services"]
    assert facts.unread_because == ecs.failure
    assert "PlatformUnavailable" in world.announcer.reasons


async def test_what_is_told_of_a_service_stands_on_its_policy() -> None:
    told = FakeAnnouncer()
    service = a_service()
    announcer = EventsOnPolicies(told, EcsFake(service), lambda: (ECS_POLICY,))  # type: ignore[arg-type]
    from tests.ecs.test_records import an_incident

    await announcer.announce(notices.leak_detected(an_incident(), service, a_judgement(service), NOW))

    (notice,) = told.notices
    assert (notice.regarding.kind, notice.regarding.name) == ("MemoryPolicy", "services")
    assert notice.regarding.uid == "ecs-policy-uid"
    assert notice.message.startswith("Service eu-west-1/prod/api: container app leaks")
    assert notice.related is not None
    assert notice.related.kind == "MemoryIncident"


async def test_what_is_told_of_a_workload_stays_on_it() -> None:
    told = FakeAnnouncer()
    announcer = EventsOnPolicies(told, EcsFake(), lambda: ())  # type: ignore[arg-type]
    notice = notices.policy_told(notices.EventReason.POLICY_INVALID, "shop", "api", "uid", "no", NOW)

    await announcer.announce([notice])

    assert told.notices == [notice]


async def test_service_that_two_namespaces_claim_is_restarted_by_neither() -> None:
    target = EcsTarget(region="eu-west-1", cluster="prod", services=("api",))
    here = a_policy(name="a", uid="a", target=Target(ecs=target))
    there = a_policy(name="b", uid="b", namespace="other", target=Target(ecs=target))
    service = a_service()
    twin = replace(service, ref=replace(REF, namespace="other"))
    from controller.sweep.judging import cover

    covered = tuple(cover((here, there), (service, twin)))

    assert [(item.policy.key, item.rivals) for item in covered] == [
        ("shop/a", ("other/b",)),
        ("other/b", ("shop/a",)),
    ]
