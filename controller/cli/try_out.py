"""`bilgepump try`: a starting policy from what a metrics source remembers, with nothing installed."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.cli.backtest import fetch
from controller.cli.metrics_options import settings_from, source_options
from controller.cli.plain_cells import add_plain_row
from controller.cli.replay import ContainerResult, run_backtest, workload_of
from controller.cli.scan import Scanned, Scope, findings_of, gather_memory
from controller.cli.scan_table import Finding
from controller.cli.starting_policy import Conditions, Trial, policy_text, trial_of
from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.inventory.workload import Platform, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.policy.memory_policy import (
    DetectionRules,
    LabelSelector,
    MemoryPolicy,
    Mode,
    Target,
    Threshold,
    WorkloadKind,
)
from controller.policy.parsing import parse_policy
from controller.policy.units import parse_duration
from controller.ports import MetricsUnavailable

KINDS = frozenset(kind.value for kind in WorkloadKind)
Step = Callable[[str], None]


@click.command("try")
@click.option(
    "--prometheus", "url", required=True, metavar="URL", help="Prometheus, Thanos, Mimir or VictoriaMetrics."
)
@click.option(
    "--namespace", "-n", "namespaces", multiple=True, help="Only this namespace; may be given several times."
)
@click.option(
    "--since", default="7d", metavar="DURATION", show_default=True, help="How far back it is replayed."
)
@click.option("--every", default=10, show_default=True, type=click.IntRange(1), help="Minutes between looks.")
@click.option(
    "--threshold", default=70, show_default=True, type=click.IntRange(1, 99), help="Percent of the limit."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the policy is written; it must not exist yet. Printed if not given.",
)
@source_options
def try_out(
    url: str,
    namespaces: tuple[str, ...],
    since: str,
    every: int,
    threshold: int,
    out: Path | None,
    **options: Any,
) -> None:
    """
    Write a starting policy from what a metrics source remembers, and say what it would have done.

    Scans what leaks now, replays the last week with the controller's own code as if a policy in mode
    Remediate had governed everything, and names what leaks in a policy in mode Observe, with the reasons as
    comments. Read-only; nothing needs to be installed.

    Example: bilgepump try --prometheus http://prometheus.monitoring:9090 -n shop -o policy.yaml

    Exit codes: 0 written, 1 the source could not be read or the file not written, 2 wrong usage.
    """
    span = _span(since)
    if out is not None and out.exists():
        raise click.UsageError(f"--out {out} exists already: name another file, or remove it")
    settings = settings_from(url, options)
    rules = DetectionRules(
        threshold=Threshold(ratio=threshold / 100), critical_ratio=max(0.85, min(threshold + 5, 100) / 100)
    )
    now = datetime.now(UTC)  # noqa: TID251  (a command line)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("asking what leaks now …", total=None)
        scanned = _scan(settings, frozenset(namespaces), rules, now)
        found = tuple(sorted({key.namespace for key in scanned.matrix.keys}))
        progress.update(task, total=len(found), completed=0)

        def step(namespace: str) -> None:
            progress.update(
                task, description=f"replaying {namespace} …", advance=0 if namespace == found[0] else 1
            )

        results = _replay(settings, found, rules, span, timedelta(minutes=every), step)
    trials = trials_of(findings_of(scanned, rules, now).findings, results, scanned.owners)
    conditions = Conditions(source=url, since=since, threshold_percent=threshold, now=now, namespaces=found)
    text = policy_text(trials, conditions)
    _check(text)
    _summarise(trials, since)
    _write(text, out)


def _span(since: str) -> timedelta:
    days = since[:-1]
    try:
        span = (
            timedelta(days=int(days)) if since.endswith("d") and days.isdecimal() else parse_duration(since)
        )
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--since: {error}") from error
    if not timedelta(hours=1) <= span <= timedelta(days=60):
        raise click.UsageError(f"--since must be from 1h to 60d (is {since})")
    return span


def _scan(
    settings: PrometheusSettings, namespaces: frozenset[str], rules: DetectionRules, now: datetime
) -> Scanned:
    source = PrometheusMemorySource(settings)
    try:
        return asyncio.run(gather_memory(source, Scope(namespaces=namespaces, matchers=()), rules, now))
    except MetricsUnavailable as error:
        raise click.ClickException(str(error)) from error
    finally:
        source.close()


def _replay(
    settings: PrometheusSettings,
    namespaces: Sequence[str],
    rules: DetectionRules,
    span: timedelta,
    every: timedelta,
    step: Step,
) -> list[ContainerResult]:
    """Every namespace as if a policy in mode Remediate had governed all of it."""
    results: list[ContainerResult] = []
    for namespace in namespaces:
        step(namespace)
        policy = MemoryPolicy(
            namespace=namespace,
            name="trial",
            uid="trial",
            generation=1,
            target=Target(selector=LabelSelector()),
            mode=Mode.REMEDIATE,
            detection=rules,
        )
        memory = fetch(settings, policy, frozenset({namespace}), f"{int(span.total_seconds() // 60)}m")
        results += run_backtest(policy, memory, every).results
    return results


def trials_of(
    findings: Sequence[Finding],
    results: Sequence[ContainerResult],
    owners: Mapping[tuple[str, str], str],
) -> tuple[Trial, ...]:
    """One for each workload of a kind that a policy can name; those that leak now come first."""
    now: dict[WorkloadRef, list[Finding]] = defaultdict(list)
    replayed: dict[WorkloadRef, list[ContainerResult]] = defaultdict(list)
    for finding in findings:
        if workload := _owner(finding.worst.key, owners):
            now[workload].append(finding)
    for result in results:
        if workload := _owner(result.key, owners):
            replayed[workload].append(result)
    trials = [
        trial_of(workload, now.get(workload, []), replayed.get(workload, []))
        for workload in {**now, **replayed}
    ]
    return tuple(sorted(trials, key=lambda one: (not one.leaks_now, not one.leaks, str(one.workload))))


def _owner(key: ContainerKey, owners: Mapping[tuple[str, str], str]) -> WorkloadRef | None:
    """By kube-state-metrics where it knows, else by the pod's name where that proves a Deployment."""
    kind, _, name = owners.get((key.namespace, key.pod), "").partition(" ")
    if kind in KINDS and name:
        return WorkloadRef(Platform.KUBERNETES, key.namespace, kind, name)
    return None if kind else workload_of(key)


def _check(text: str) -> None:
    """What is written is a policy: by the controller's own validation."""
    for document in yaml.safe_load_all(text):
        if document is None:
            continue
        parsed = parse_policy(document)
        if not isinstance(parsed, MemoryPolicy):
            raise click.ClickException("; ".join(str(problem) for problem in parsed))


def _summarise(trials: Sequence[Trial], since: str) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 160)
    leaking = [trial for trial in trials if trial.leaks]
    if leaking:
        table = Table(
            "WORKLOAD", "LEAKS NOW", "FOUND TO LEAK", f"RESTARTS IN {since}", box=None, pad_edge=False
        )
        for trial in leaking:
            first = f"{trial.found[0]:%Y-%m-%d %H:%MZ}" if trial.found else "–"
            leaks_now = "yes" if trial.leaks_now else "no"
            add_plain_row(table, str(trial.workload), leaks_now, first, str(len(trial.restarts)))
        console.print(table)
    told = f"{len(leaking)} of {len(trials)} workloads leak or leaked; whether any is a false alarm"
    console.print(f"{told} cannot be known from memory alone.", highlight=False)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{out} could not be written: {error}") from error
    click.echo(f"{out} is written; try it: bilgepump check-policy {out}", err=True)
