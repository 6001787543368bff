"""An ECS service judged by a real Prometheus that has its tasks' series, as docs/ecs.md names them."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.ecs import ecs as ecs_command
from tests.backfill import prometheus_that_remembers
from tests.ecs.cloud import a_client, aws_environment
from tests.ecs.server import EcsStandIn
from tests.ecs.story import MEMORY_MIB, a_leaking_service, a_policy
from tests.ecs.waiting import until

pytestmark = pytest.mark.go

MIB = 2**20
STEP = 120
SPAN = timedelta(hours=46)
NO_CLOUDWATCH = "http://127.0.0.1:9"


def exposition(tasks: dict[str, tuple[int, int]], *, limit: bool = True) -> str:
    """Two days of tasks, each in a straight line from one level to the other, in MiB."""
    seconds = int(SPAN.total_seconds())
    begin = int(time.time()) // STEP * STEP - seconds

    def level(task: str, at: int) -> float:
        first, last = tasks[task]
        return MIB * (first + (last - first) * at / seconds + (at // STEP) % 7 / 7)

    series: dict[str, Callable[[str, int], float]] = {
        "container_memory_rss": level,
        "container_memory_working_set_bytes": level,
        "container_start_time_seconds": lambda task, at: begin,
    }
    if limit:
        series["container_spec_memory_limit_bytes"] = lambda task, at: MEMORY_MIB * MIB
    lines = []
    for name, value in series.items():
        lines.append(f"# TYPE {name} gauge")
        for task in tasks:
            labels = f'{{namespace="shop",pod="{task}",container="app"}}'
            lines += [f"{name}{labels} {value(task, at):.0f} {begin + at}" for at in range(0, seconds, STEP)]
    return "\n".join([*lines, "# EOF", ""])


def once(ecs: EcsStandIn, prometheus: str, folder: Path, **spec: Any) -> Result:
    policy = folder / "policy.yaml"
    policy.write_text(yaml.safe_dump(a_policy(mode="Observe", detection={}, **spec)))
    given = ["--policy", str(policy), "--state", str(folder / "state"), "--once", "--prometheus", prometheus]
    return CliRunner(env=aws_environment(ecs.url, NO_CLOUDWATCH)).invoke(ecs_command, given)


@pytest.fixture
def tasks(ecs: EcsStandIn) -> list[str]:
    """Those of a service that began two days ago."""
    a_leaking_service(a_client("ecs", ecs.url))
    until(lambda: ecs.settled("api"))
    for task in ecs.service("api").tasks:
        task.created_at = task.started_at = datetime.now(UTC) - SPAN - timedelta(hours=1)
    return [task.id for task in ecs.service("api").tasks]


def test_one_leaking_task_is_told_from_the_others_without_cloudwatch(
    ecs: EcsStandIn, tasks: list[str], tmp_path: Path
) -> None:
    leaking, *healthy = tasks
    levels = {leaking: (20, 85)} | dict.fromkeys(healthy, (20, 20))
    with prometheus_that_remembers(exposition(levels), tmp_path) as url:
        result = once(ecs, url, tmp_path)

    assert result.exit_code == 0, result.output
    assert "of CloudWatch" not in result.output
    (file,) = (tmp_path / "state" / "incidents").glob("shop/*.json")
    told = json.loads(file.read_text())["status"]["assessment"]
    assert (told["verdict"], told["replica"]) == ("Leaking", leaking)
    assert (told["leakingReplicas"], told["replicas"]) == (1, 3)
    assert told["limitBytes"] == MEMORY_MIB * MIB


def test_without_the_limit_as_a_series_it_is_suspected_and_nothing_is_done(
    ecs: EcsStandIn, tasks: list[str], tmp_path: Path
) -> None:
    levels = dict.fromkeys(tasks, (20, 85))
    with prometheus_that_remembers(exposition(levels, limit=False), tmp_path) as url:
        result = once(ecs, url, tmp_path)

    assert result.exit_code == 0, result.output
    assert "Suspect" in result.output
    assert not list((tmp_path / "state").rglob("incidents/*/*.json"))
