"""
`bilgepump try` against a real Prometheus whose week was written beforehand.

One Deployment leaks, one is steady.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.main import main
from controller.cli.starting_policy import Conditions, Trial, policy_text, trial_of
from controller.cli.try_out import _check, _span
from controller.inventory.workload import Platform, WorkloadRef
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import parse_policy
from tests.backfill import prometheus_that_remembers
from tests.clients.notifications.standin import NOW
from tests.fakes import MIB

STEP = 120
HOUR = 3600
WEEK = 7 * 24 * HOUR

LEAKY = "api-7d9f8c6b5-x2k4q"
STEADY = "web-6c5d4f7b8-z9w8v"
OWNERS = {LEAKY: ("ReplicaSet", "api-7d9f8c6b5"), STEADY: ("ReplicaSet", "web-6c5d4f7b8")}


def memory(pod: str, start: int, at: int) -> float:
    """In MiB. The leak began four days before the end and grows 4 MiB an hour, with a little breathing."""
    breath = 3 * ((at // STEP) % 7) / 7
    if pod == STEADY:
        return 150 + breath
    return 90 + 4.0 * max(0, (at - start) - (WEEK - 96 * HOUR)) / HOUR * 0.9 + breath


def exposition(start: int, end: int) -> str:
    """A week in OpenMetrics, as `promtool tsdb create-blocks-from openmetrics` reads it."""
    lines = []
    series = {
        "container_memory_rss": lambda pod, at: memory(pod, start, at) * MIB,
        "container_memory_working_set_bytes": lambda pod, at: memory(pod, start, at) * MIB,
        "container_spec_memory_limit_bytes": lambda pod, at: 512 * MIB,
        "container_start_time_seconds": lambda pod, at: start,
    }
    for name, value in series.items():
        lines.append(f"# TYPE {name} gauge")
        for pod in OWNERS:
            labels = f'{{namespace="shop",pod="{pod}",container="app"}}'
            lines += [f"{name}{labels} {value(pod, at):.0f} {at}" for at in range(start, end, STEP)]
    lines.append("# TYPE kube_pod_owner gauge")
    for pod, (kind, owner) in OWNERS.items():
        labels = f'{{namespace="shop",pod="{pod}",owner_kind="{kind}",owner_name="{owner}"}}'
        lines += [f"kube_pod_owner{labels} 1 {at}" for at in range(start, end, STEP)]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that remembers the week; its address."""
    end = int(time.time()) // STEP * STEP
    with prometheus_that_remembers(exposition(end - WEEK, end), tmp_path_factory.mktemp("prometheus")) as url:
        yield url


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["try", *arguments])


@pytest.mark.go
def test_starting_policy_names_what_leaks_with_the_reasons(prometheus: str, tmp_path: Path) -> None:
    out = tmp_path / "policy.yaml"
    result = call("--prometheus", prometheus, "--every", "60", "-o", str(out))
    assert result.exit_code == 0, result.output
    text = out.read_text()
    (document,) = yaml.safe_load_all(text)
    policy = parse_policy(document)
    assert isinstance(policy, MemoryPolicy), policy
    assert (policy.mode.value, policy.namespace) == ("Observe", "shop")
    assert [named.name for named in policy.target.workloads] == ["api"]
    assert "# container app leaks now in 1 of 1 replicas: " in text
    assert "In mode Remediate there would have been" in text
    assert "false alarms cannot be known" in text
    assert "2 workloads, of which 1 leak now or leaked in that time" in text
    assert "Deployment shop/api" in result.stderr
    again = call("--prometheus", prometheus, "-o", str(out))
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.go
def test_restarts_of_the_week_are_those_of_a_backtest(prometheus: str, tmp_path: Path) -> None:
    policy = tmp_path / "remediate.yaml"
    document: dict[str, Any] = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"mode": "Remediate", "target": {"selector": {"matchLabels": {"app": "api"}}}},
    }
    policy.write_text(yaml.safe_dump(document))
    replayed = CliRunner().invoke(
        main,
        ["backtest", "--policy", str(policy), "--prometheus", prometheus, "--since", "168h", "--every", "60"],
    )
    assert replayed.exit_code == 0, replayed.output
    remediations = int(replayed.stdout.rpartition(" remediations")[0].split()[-1])
    tried = call("--prometheus", prometheus, "--every", "60")
    times = f"{remediations} restart{'' if remediations == 1 else 's'} in that time"
    assert times in tried.stdout


def test_source_that_is_away_is_said() -> None:
    result = call("--prometheus", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "could not be read" in result.output


@pytest.mark.parametrize("since", ["soon", "30m", "100d", "1"])
def test_span_that_makes_no_sense_is_refused(since: str) -> None:
    result = call("--prometheus", "http://127.0.0.1:9", "--since", since)
    assert result.exit_code == 2
    assert "--since" in result.output


@pytest.mark.parametrize(("since", "span"), [("7d", timedelta(days=7)), ("36h", timedelta(hours=36))])
def test_span_may_be_in_days(since: str, span: timedelta) -> None:
    assert _span(since) == span


def conditions(*namespaces: str) -> Conditions:
    return Conditions(
        source="http://p", since="7d", threshold_percent=70, now=NOW, namespaces=namespaces or ("shop",)
    )


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


def a_trial(namespace: str, name: str, **changes: Any) -> Trial:
    return Trial(workload=WorkloadRef(Platform.KUBERNETES, namespace, "Deployment", name), **changes)


def test_each_namespace_gets_a_policy_of_its_own() -> None:
    trials = [
        a_trial("shop", "api", found=(NOW,)),
        a_trial("bank", "till", found=(NOW,)),
        a_trial("bank", "web"),
    ]
    made = documents(policy_text(trials, conditions("bank", "shop")))
    assert [(one["metadata"]["namespace"], one["spec"]["mode"]) for one in made] == [
        ("bank", "Observe"),
        ("shop", "Observe"),
    ]
    assert made[0]["spec"]["target"]["workloads"] == [{"kind": "Deployment", "name": "till"}]
    assert all(isinstance(parse_policy(one), MemoryPolicy) for one in made)


@pytest.mark.parametrize("count", [1, 40])
def test_where_nothing_leaks_everything_is_watched(count: int) -> None:
    names = [f"team-{number}" for number in range(count)]
    (made,) = documents(policy_text([a_trial("team-0", "api")], conditions(*names)))
    assert made["kind"] == "ClusterMemoryPolicy"
    assert isinstance(parse_policy(made), MemoryPolicy)


@pytest.mark.parametrize("name", ["1234", "on", "null", "1e3", "2026-01-01", "0x1f", "12-30"])
@pytest.mark.parametrize("leaks", [True, False])
def test_name_stays_a_name_whatever_yaml_reads_in_it(name: str, leaks: bool) -> None:
    trial = a_trial(name, name, found=(NOW,) if leaks else ())
    text = policy_text([trial], conditions(name))
    _check(text)
    assert text.count(f'"{name}"') == (2 if leaks else 1), "in quotes, for every reader of YAML"


@pytest.mark.parametrize("threshold", [1, 70, 84, 85, 99])
def test_any_threshold_makes_a_good_policy(threshold: int) -> None:
    given = Conditions(
        source="http://p", since="7d", threshold_percent=threshold, now=NOW, namespaces=("shop",)
    )
    (made,) = documents(policy_text([a_trial("shop", "api", found=(NOW,))], given))
    assert isinstance(parse_policy(made), MemoryPolicy)


def test_what_leaked_and_does_not_now_is_named_with_the_question() -> None:
    trial = a_trial("shop", "api", found=(NOW,), restarts=(NOW,) * 7, unforeseen=True)
    text = policy_text([trial], conditions())
    assert "It leaked, and does not now" in text
    assert "as the recording goes on, 6 times more" in text
    assert "above the threshold before it was known to leak" in text


def test_nothing_known_is_no_leak() -> None:
    assert not trial_of(WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api"), [], []).leaks
