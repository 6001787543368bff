"""What a scrape of /metrics says after real sweeps over a faked world."""

from dataclasses import replace
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from controller.clients.telemetry import PrometheusTelemetry
from controller.decision.situation import Powers
from controller.metrics.series import ContainerKey
from controller.policy.book import PolicyBook
from controller.policy.memory_policy import MemoryPolicy, Mode, RemediationRules
from controller.reporting.telemetry import METRICS
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import MIB, FakeWorld, a_policy
from tests.sweep.test_flow import a_leaking_world

API = {"namespace": "shop", "kind": "Deployment", "name": "api"}
POLICY = a_policy(remediation=RemediationRules(lead_time=timedelta(minutes=90)))


def new_replicas_are_as_large(world: FakeWorld) -> None:
    for workload in world.inventory.standing.values():
        for replica in workload.replicas:
            key = ContainerKey("shop", replica.name, "app")
            world.memory.levels.setdefault(key, (replica.created_at, [350 * MIB, 351 * MIB]))


async def swept(world: FakeWorld, policy: MemoryPolicy, sweeps: int = 1) -> PrometheusTelemetry:
    telemetry = PrometheusTelemetry()
    sweeper = Sweeper(world.ports, lambda: SweepLimits(powers=Powers()), Retention())
    for _ in range(sweeps):
        census = await sweeper.sweep(PolicyBook(accepted=(policy,)), world.clock.now)
        telemetry.swept(census, 0.1, world.clock.now)
        new_replicas_are_as_large(world)
        world.clock.pass_time(timedelta(minutes=1))
    return telemetry


def samples(telemetry: PrometheusTelemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(telemetry: PrometheusTelemetry, metric: str, /, **labels: str) -> float | None:
    return samples(telemetry).get((f"bilgepump_{metric}", frozenset(labels.items())))


async def test_leaking_workload_is_told_with_its_numbers() -> None:
    telemetry = await swept(a_leaking_world(), POLICY, sweeps=1)
    assert value(telemetry, "workloads", namespace="shop", verdict="Leaking") == 1
    assert value(telemetry, "workload_threshold_bytes", **API) == int(0.7 * 512 * MIB)
    used = value(telemetry, "workload_used_bytes", **API)
    growth = value(telemetry, "workload_growth_bytes_per_second", **API)
    left = value(telemetry, "workload_threshold_seconds", **API)
    assert used is not None
    assert growth is not None
    assert left is not None
    assert 350 * MIB < used < 353 * MIB
    assert abs(growth - 292 * MIB / (20 * 3600)) < 0.1 * growth
    assert 0 < left < 3600


async def test_open_incident_is_told_until_it_is_closed() -> None:
    world = a_leaking_world()
    telemetry = await swept(world, a_policy(mode=Mode.OBSERVE), sweeps=2)
    incident = world.records.only
    assert value(telemetry, "open_incident", **API, incident=incident.name, phase="Observed") == 1


async def test_failed_remediation_is_told_until_it_is_acknowledged() -> None:
    world = a_leaking_world()
    telemetry = await swept(world, POLICY, sweeps=40)
    assert world.records.only.status.phase.value == "Failed"
    assert value(telemetry, "workload_unacknowledged", **API) == 1

    (ref, workload), *_ = world.inventory.standing.items()
    world.inventory.standing[ref] = replace(workload, acknowledged=world.records.only.name)
    telemetry = await swept(world, POLICY, sweeps=1)
    assert value(telemetry, "workload_unacknowledged", **API) is None


async def test_process_that_leads_no_more_tells_nothing_of_workloads() -> None:
    telemetry = await swept(a_leaking_world(), POLICY)
    telemetry.leads(True)
    assert value(telemetry, "workloads", namespace="shop", verdict="Leaking") == 1
    telemetry.leads(False)
    told = {name for name, labels in samples(telemetry) if dict(labels).get("namespace")}
    assert {name for name in told if not name.endswith(("_total", "_created"))} == set()
    assert value(telemetry, "leader") == 0


def test_catalogue_is_what_is_told() -> None:
    families = {
        family.name for family in text_string_to_metric_families(PrometheusTelemetry().exposition().decode())
    }
    assert {metric.name.removesuffix("_total") for metric in METRICS} <= families


async def test_restarts_and_recoveries_are_counted_from_zero_where_a_policy_may_act() -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    telemetry = PrometheusTelemetry()
    world = a_leaking_world()
    sweeper = Sweeper(world.ports, lambda: SweepLimits(powers=Powers(remediate=False)), Retention())
    for policy, known in ((a_policy(mode=Mode.OBSERVE), None), (POLICY, 0)):
        census = await sweeper.sweep(PolicyBook(accepted=(policy,)), world.clock.now)
        telemetry.swept(census, 0.1, world.clock.now)
        assert value(telemetry, "remediations_total", namespace="shop", mechanism="RollingRestart") == known
        assert value(telemetry, "recoveries_total", namespace="shop", outcome="Recovered") == known
    assert value(telemetry, "recoveries_total", namespace="shop", outcome="Soaking") is None
    assert value(telemetry, "captures_total", kind="heap", outcome="kept") == 0
