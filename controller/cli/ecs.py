"""`bilgepump ecs`: the controller for Amazon ECS, without Kubernetes."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

import click
import yaml
from rich.console import Console
from rich.table import Table

from controller.cli.options import (
    DurationParam,
    PlaceParam,
    log_level_option,
    short_lookback_option,
    state_region_option,
)
from controller.cli.plain_cells import add_plain_row
from controller.clients.notifications.settings import NotificationSettings
from controller.decision.outcome import Action
from controller.platforms.ecs.place import StateDirectory, StatePlace
from controller.policy.book import PolicyBook, RejectedPolicy, read_policy
from controller.policy.ecs_access import ambiguous
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import PlatformUnavailable
from controller.reporting.census import Census, Seen
from controller.settings import ConfigurationError, read_notifications

if TYPE_CHECKING:
    from controller.clients.cloudwatch import Spending
    from controller.ecs_wiring import EcsSettings


@click.command()
@click.option(
    "--policy",
    "files",
    type=click.File(encoding="utf-8"),
    multiple=True,
    help="A file with MemoryPolicy documents whose target is `ecs`; may be given again.",
)
@click.option(
    "--policy-text",
    envvar="BILGEPUMP_POLICY",
    default="",
    help="The documents themselves, for a task definition that has no files. [env: BILGEPUMP_POLICY]",
)
@click.option(
    "--state",
    type=PlaceParam(),
    required=True,
    envvar="BILGEPUMP_STATE",
    metavar="DIR|s3://BUCKET/PREFIX",
    help="Directory or bucket for incidents, evidence and the lock; it must outlive this process.",
)
@state_region_option
@click.option("--once", is_flag=True, help="One sweep, a table of what was found, and out.")
@click.option(
    "--dry-run", is_flag=True, help="The same, but nothing is captured, restarted, written or posted."
)
@click.option(
    "--interval",
    type=DurationParam(),
    default="5m",
    show_default=True,
    help="Longest time between sweeps; near danger it is a minute.",
)
@click.option(
    "--sample-interval",
    type=DurationParam(),
    default="60s",
    show_default=True,
    help="How often memory is measured: 60s by Container Insights.",
)
@click.option(
    "--prometheus", metavar="URL", default="", help="Read memory there and not in CloudWatch (docs/ecs.md)."
)
@click.option("--event-bus", default="", help="EventBridge bus for events; none are posted without it.")
@click.option(
    "--notifications",
    "notifications_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A YAML file that says who is told of what (docs/notifications.md).",
)
@short_lookback_option
@click.option(
    "--allow-loopback",
    is_flag=True,
    help="Take profiles from tasks on 127.0.0.0/8: for demonstrations and tests.",
)
@log_level_option
def ecs(
    files: tuple[TextIO, ...],
    policy_text: str,
    state: StatePlace,
    state_region: str,
    once: bool,
    dry_run: bool,
    interval: timedelta,
    sample_interval: timedelta,
    prometheus: str,
    event_bus: str,
    notifications_file: Path | None,
    allow_short_lookback: bool,
    allow_loopback: bool,
    log_level: str,
) -> None:
    """
    Govern ECS services by MemoryPolicy files, without Kubernetes.

    Example: bilgepump ecs --policy policy.yaml --state /var/lib/bilgepump

    Exit codes: 0 done or stopped by a signal, 1 AWS or the state did not answer or another copy runs, 2 a
    policy or the notifications' settings cannot be used.
    """
    from controller.ecs_wiring import EcsSettings
    from controller.json_logs import configure_logging

    book = _book(
        _read(files) | {"--policy-text": policy_text}, allow_short_lookback, compares_service=bool(prometheus)
    )
    configure_logging(log_level)
    try:
        notifications = read_notifications(notifications_file)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    region = next((one.target.ecs.region for one in book.accepted if one.target.ecs), "")
    settings = EcsSettings(
        state=state,
        state_region=state_region or region,
        interval=interval,
        sample_interval_seconds=int(sample_interval.total_seconds()),
        prometheus_url=prometheus,
        event_bus=event_bus,
        event_region=region,
        allow_loopback=allow_loopback,
        notifications=notifications,
    )
    try:
        found = asyncio.run(_look(settings, book) if dry_run else _run(settings, book, once=once))
    except PlatformUnavailable as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if found is not None:
        _print(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What one sweep found, and what it took."""

    census: Census
    ecs_calls: int
    spending: "Spending | None"


async def _run(settings: "EcsSettings", book: PolicyBook, *, once: bool) -> _Found | None:
    from controller.ecs_wiring import ecs_controller

    async with ecs_controller(settings, book) as controller:
        if not once:
            await controller.run(settings.interval)
            return None
        census = await controller.once()
        return _Found(census=census, ecs_calls=controller.calls, spending=controller.spending)


async def _look(settings: "EcsSettings", book: PolicyBook) -> _Found:
    """A sweep on a copy of the incidents, which is thrown away; without the lock it never acts."""
    from controller.ecs_wiring import copy_incidents, ecs_controller

    with TemporaryDirectory(prefix="bilgepump-") as folder:
        copy = StateDirectory(Path(folder))
        await copy_incidents(settings.state, settings.state_region, copy)
        settings = replace(settings, state=copy, event_bus="", capture=False)
        settings = replace(settings, notifications=NotificationSettings())
        async with ecs_controller(settings, book) as controller:
            census = await controller.sweep()
            return _Found(census=census, ecs_calls=controller.calls, spending=controller.spending)


def _read(files: tuple[TextIO, ...]) -> dict[str, str]:
    """The files' texts by name. Ends the process where one cannot be read."""
    texts: dict[str, str] = {}
    for file in files:
        try:
            texts[file.name] = file.read()
        except (OSError, UnicodeDecodeError) as error:
            click.echo(f"{file.name}: must be YAML in UTF-8: {error}", err=True)
            sys.exit(2)
    return texts


def _book(texts: Mapping[str, str], allow_short_lookback: bool, *, compares_service: bool) -> PolicyBook:
    """
    The policies in the texts, by where each comes from. Ends the process where one cannot be used.

    `compares_service`: memory comes from a Prometheus, which can tell how requests are served, too.
    """
    accepted: list[MemoryPolicy] = []
    problems: list[str] = []
    for name, text in texts.items():
        try:
            documents = [one for one in yaml.safe_load_all(text) if one]
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # PyYAML lets the ValueError of an impossible date through.
            problems.append(f"{name}: must be YAML: {' '.join(str(error).split())}")
            continue
        for document in documents:
            policy = read_policy(
                _with_identity(document), allow_short_lookback=allow_short_lookback, on_ecs=True
            )
            if isinstance(policy, RejectedPolicy):
                problems.append(f"{name}: {policy.namespace}/{policy.name}: {policy.problems}")
            elif policy.verification.compares_service and not compares_service:
                problems.append(
                    f"{name}: {policy.key}: spec.verification: `errorRatio` and `latency` need --prometheus; "
                    "CloudWatch does not tell them"
                )
            else:
                accepted.append(policy)
    keys = [policy.key for policy in accepted]
    problems += [
        f"{key} is there more than once" for key in sorted({one for one in keys if keys.count(one) > 1})
    ]
    problems += sorted(set(ambiguous(accepted).values()))
    if not accepted and not problems:
        problems.append("no MemoryPolicy was given: use --policy, or BILGEPUMP_POLICY")
    if problems:
        click.echo("\n".join(problems), err=True)
        sys.exit(2)
    return PolicyBook(accepted=tuple(accepted))


def _with_identity(document: Any) -> dict[str, Any]:
    """A file's policy has no uid and generation of an API server: its name is its identity."""
    whole = dict(document) if isinstance(document, dict) else {}
    metadata = whole.get("metadata") if isinstance(whole.get("metadata"), dict) else {}
    assert metadata is not None  # noqa: S101  (a dictionary by now)
    name = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}"
    return {**whole, "metadata": {"namespace": "default", "uid": name, **metadata}}


def _print(found: _Found) -> None:
    census, spending = found.census, found.spending
    table = Table("SERVICE", "TASKS", "VERDICT", "GROWTH", "DECISION", "BECAUSE", box=None, pad_edge=False)
    for seen in census.decided:
        add_plain_row(table, *_row(seen))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    if not census.decided:
        click.echo("no service is governed by these policies", err=True)
    click.echo(f"{found.ecs_calls} calls of the ECS API")
    if spending is not None:
        click.echo(
            f"{spending.metrics_asked} metrics of CloudWatch; at the pace of now "
            f"{spending.metrics_per_month} a month, about USD {spending.dollars_per_month:.2f}"
        )


def _row(seen: Seen) -> tuple[str, ...]:
    workload, judgement, decision = seen.workload, seen.judgement, seen.decision
    growth = judgement.worst.growth if judgement else None
    action = decision.action if decision else (Action.NONE if seen.incident is None else None)
    because = decision.reason.value if decision else (seen.incident.status.because if seen.incident else "")
    return (
        workload.ref.name,
        f"{workload.ready_replicas}/{workload.desired_replicas}",
        seen.verdict.value,
        f"{growth.bytes_per_hour / 2**20:.0f} MiB/h" if growth else "",
        action.value if action else "Verify",
        because,
    )
