"""`bilgepump leaks`: open incidents of a namespace or of the cluster, the least time left first."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console
from rich.table import Table

from controller.cli.by_hand.access import Caller, Where, as_caller, cluster_options
from controller.cli.plain_cells import add_plain_row
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.reporting.incident import AssessmentRecord, Incident
from controller.reporting.incident_document import to_document

WIDE = 200
"""Columns where nobody looks through a terminal, so that nothing is cut off in a pipe."""


@click.command()
@cluster_options
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
@click.option("--closed", is_flag=True, help="Also those that are closed.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True
)
def leaks(where: Where, all_namespaces: bool, closed: bool, output: str) -> None:
    """
    List what leaks, by the time that is left until the threshold.

    These are the open MemoryIncidents; you need the right to list them (the role `bilgepump-view`).

    Example: bilgepump leaks -A

    Exit codes: 0 listed, 1 could not be read, 2 wrong usage.
    """

    async def listed(caller: Caller) -> tuple[Incident, ...]:
        namespaces = () if all_namespaces else (caller.namespace,)
        return await KubernetesRecords(caller.api, namespaces=namespaces).incidents()

    found = as_caller(listed, where)
    chosen = by_time_left([one for one in found if closed or one.open])
    if output == "json":
        click.echo(json.dumps([to_document(one) for one in chosen], indent=2, ensure_ascii=False))
        return
    if not chosen:
        click.echo("nothing leaks", err=True)
        return
    now = datetime.now(UTC)  # noqa: TID251  (a person's clock)
    Console(width=None if sys.stdout.isatty() else WIDE).print(
        table(chosen, now, all_namespaces=all_namespaces, wide=output == "wide")
    )


def by_time_left(incidents: Sequence[Incident]) -> list[Incident]:
    """Open ones first, then those that reach the threshold soonest; what is not projected comes last."""

    def urgency(incident: Incident) -> tuple[bool, float, str]:
        assessment = incident.status.assessment
        crossing = assessment.crosses_threshold_at if assessment else None
        left = crossing.timestamp() if crossing else float("inf")
        return not incident.open, left, incident.name

    return sorted(incidents, key=urgency)


def table(incidents: Sequence[Incident], now: datetime, *, all_namespaces: bool, wide: bool) -> Table:
    """What people look at. Colour only repeats what the words say."""
    columns = ["WORKLOAD", "CLASS", "GROWTH", "USED/LIMIT", "LEFT", "PHASE", "BECAUSE", "INCIDENT"]
    if all_namespaces:
        columns.insert(0, "NAMESPACE")
    if wide:
        columns += ["POLICY", "SUMMARY"]
    made = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for one in incidents:
        status, workload = one.status, one.spec.workload
        cells = [
            f"{workload.kind}/{workload.name}",
            status.assessment.growth_class.value if status.assessment else "",
            status.growth_text,
            _used(status.assessment),
            _left(one, now),
            status.phase.value,
            status.because,
            one.name,
        ]
        if all_namespaces:
            cells.insert(0, one.namespace)
        if wide:
            cells += [str(one.spec.policy), status.diagnosis.summary if status.diagnosis else status.message]
        add_plain_row(made, *cells)
    return made


def _used(assessment: AssessmentRecord | None) -> str:
    if assessment is None or not assessment.used_bytes or not assessment.limit_bytes:
        return ""
    used, limit = assessment.used_bytes, assessment.limit_bytes
    return f"{used / 2**20:.0f}/{limit / 2**20:.0f} MiB {used / limit:.0%}"


def _left(incident: Incident, now: datetime) -> str:
    assessment = incident.status.assessment
    if not incident.open or assessment is None or assessment.crosses_threshold_at is None:
        return "–"
    left = assessment.crosses_threshold_at - now
    return "reached" if left <= timedelta() else span_text(left)


def span_text(span: timedelta) -> str:
    """`40m`, `3h`, `2d`: as kubectl writes ages."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{int(span.total_seconds())}s"
    return (
        f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
    )
