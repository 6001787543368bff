"""Half a day of our own metrics and cAdvisor's, from real sweeps over the soak's fleet in simulated time."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from controller.clients.telemetry import PrometheusTelemetry
from controller.decision.situation import Limits
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import (
    DetectionRules,
    MemoryPolicy,
    RemediationRules,
    Strategy,
    VerificationRules,
)
from controller.sweep.flow import Sweeper
from controller.sweep.retention import Retention
from controller.sweep.situations import SweepLimits
from tests.fakes import FakeWorld, a_policy
from tests.soak.fleet import LIMIT_BYTES, Fleet, habits
from tests.sweep.test_flow import a_book

EVERY = timedelta(minutes=5)
SEED = 20260302
NOISE = ("_created", "python_", "process_virtual")

Series = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float]]]
"""By name and labels: moments in Unix time, and values."""


class Recorder:
    """Keeps what every scrape would have told."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, Series]] = {}

    def scrape(self, exposition: str, extra: dict[str, str], now: datetime) -> None:
        """Each sample of `exposition`, with the labels that a scrape would add."""
        for family in text_string_to_metric_families(exposition):
            _, series = self._families.setdefault(family.name, (family.type, defaultdict(list)))
            for sample in family.samples:
                labels = tuple(sorted({**extra, **sample.labels}.items()))
                if not sample.name.endswith(NOISE):
                    series[sample.name, labels].append((now.timestamp(), sample.value))

    def openmetrics(self) -> str:
        """As `promtool tsdb create-blocks-from openmetrics` reads it."""
        lines = []
        for family, (kind, series) in self._families.items():
            lines.append(f"# TYPE {family} {kind}")
            for (name, labels), points in sorted(series.items()):
                text = ",".join(f'{key}="{value}"' for key, value in labels)
                lines += [f"{name}{{{text}}} {value} {at:.3f}" for at, value in points]
        return "\n".join([*lines, "# EOF\n"])


def the_policy() -> MemoryPolicy:
    return a_policy(
        detection=DetectionRules(minimum_age=timedelta(minutes=30)),
        remediation=RemediationRules(strategy=Strategy.ROLLING_RESTART, lead_time=timedelta(minutes=30)),
        verification=VerificationRules(progress_deadline=timedelta(minutes=30), soak=timedelta(minutes=10)),
    )


async def a_day(hours: float = 12, workloads: int = 14, leaking: int = 6) -> tuple[str, datetime, datetime]:
    """OpenMetrics of so many hours, and the moments of the first and the last scrape."""
    world, recorder, telemetry = FakeWorld(), Recorder(), PrometheusTelemetry()
    fleet = Fleet(world, habits(workloads, leaking, SEED), SEED, (0.3, 0.95))
    world.memory = fleet  # type: ignore[assignment]
    world.remediator = fleet  # type: ignore[assignment]
    ports = replace(world.ports, telemetry=telemetry)
    limits = Limits(concurrent=2, concurrent_in_namespace=2)
    sweeper = Sweeper(ports, lambda: SweepLimits(limits=limits), Retention())
    telemetry.sweeps_every(EVERY)
    telemetry.leads(True)
    begin = now = world.clock.now
    restarts = 0
    for _ in range(int(timedelta(hours=hours) / EVERY)):
        census = await sweeper.sweep(a_book(the_policy()), world.clock.now)
        telemetry.swept(census, 0.4 + 0.02 * len(census.decided), world.clock.now)
        if len(fleet.restarts) > restarts:
            restarts = len(fleet.restarts)
            for kind, outcome in (("heap", "kept"), ("goroutine", "kept"), ("memory", "failed")):
                telemetry.captured(kind, outcome)
        for _ in range(5):
            now = world.clock.now
            recorder.scrape(telemetry.exposition().decode(), _OURS, now)
            recorder.scrape(cadvisor(fleet, now), {"job": "cadvisor", "instance": "node-1"}, now)
            world.clock.pass_time(EVERY / 5)
            fleet.tick()
    return recorder.openmetrics(), begin, now


def cadvisor(fleet: Fleet, now: datetime) -> str:
    """What cAdvisor says of every replica that stands."""
    told: dict[str, list[str]] = {f"container_{name}": [] for name in _CADVISOR}
    for workload in fleet.standing:
        for replica in workload.replicas:
            key = ContainerKey(workload.ref.namespace, replica.name, "app")
            labels = f'{{namespace="{key.namespace}",pod="{key.pod}",container="app"}}'
            resident = fleet.level(key, now)
            values = {
                "memory_rss": resident,
                "memory_working_set_bytes": 1.03 * resident,
                "spec_memory_limit_bytes": LIMIT_BYTES,
                "oom_events_total": 0,
                "start_time_seconds": fleet.born[key][0].timestamp(),
            }
            for name, value in values.items():
                told[f"container_{name}"].append(f"container_{name}{labels} {value}")
    return "\n".join(line for name, lines in told.items() for line in [f"# TYPE {name} gauge", *lines]) + "\n"


_OURS = {"job": "bilgepump", "instance": "10.0.0.9:8080", "pod": "bilgepump-0"}
_CADVISOR = (
    "memory_rss",
    "memory_working_set_bytes",
    "spec_memory_limit_bytes",
    "oom_events_total",
    "start_time_seconds",
)
