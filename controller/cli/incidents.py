"""`bilgepump incidents`: what `kubectl get memi` shows, from the state of `bilgepump ecs`."""

import json
import sys
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from controller.cli.options import PlaceParam, state_region_option
from controller.cli.plain_cells import WIDE, add_plain_row, age_text
from controller.platforms.ecs.place import StatePlace
from controller.ports import PlatformUnavailable
from controller.reporting.incident import Incident
from controller.reporting.incident_document import to_document


@click.command()
@click.argument("name", required=False)
@click.option(
    "--state",
    type=PlaceParam(),
    required=True,
    envvar="BILGEPUMP_STATE",
    metavar="DIR|s3://BUCKET/PREFIX",
    help="The directory or bucket that `bilgepump ecs` was given.",
)
@state_region_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def incidents(name: str | None, state: StatePlace, state_region: str, output: str) -> None:
    """
    List incidents, or tell the story of the one called NAME.

    Example: bilgepump incidents --state /var/lib/bilgepump api-3f2a91c0de

    Exit codes: 0 shown, 1 there is no incident of that name or the state could not be read, 2
    wrong usage.
    """
    from controller.ecs_wiring import records_at

    try:
        kept = records_at(state, state_region).read_all()
    except PlatformUnavailable as error:
        raise click.ClickException(str(error)) from error
    chosen = [one for one in kept if name in (None, one.name)]
    if name is not None and not chosen:
        known = ", ".join(one.name for one in kept) or "none"
        click.echo(f"no incident is called '{name}'; there are: {known}", err=True)
        sys.exit(1)
    if output == "json":
        documents = [to_document(one) for one in chosen]
        click.echo(json.dumps(documents if name is None else documents[0], indent=2, ensure_ascii=False))
    elif name is None:
        _print_table(chosen)
    else:
        _print_story(chosen[0])


def _print_table(chosen: list[Incident]) -> None:
    columns = ("NAME", "WORKLOAD", "CLASS", "GROWTH", "THRESHOLD-AT", "PHASE", "BECAUSE", "AGE")
    table = Table(*columns, box=None, pad_edge=False)
    now = datetime.now(UTC)  # noqa: TID251  (a person's clock)
    for one in chosen:
        status, assessment = one.status, one.status.assessment
        crossing = assessment.crosses_threshold_at if assessment else None
        add_plain_row(
            table,
            one.name,
            one.spec.workload.name,
            assessment.growth_class.value if assessment else "",
            status.growth_text,
            f"{crossing:%Y-%m-%d %H:%M:%SZ}" if crossing else "",
            status.phase.value,
            status.because,
            age_text(now - one.spec.opened_at),
        )
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)


def _print_story(incident: Incident) -> None:
    click.echo(f"{incident.name}: {incident.spec.workload}, {incident.status.phase}")
    for entry in incident.status.timeline:
        click.echo(f"  {entry.at:%Y-%m-%d %H:%M:%SZ}  {entry.what:<20}  {entry.message}")
    for kept in incident.status.evidence:
        click.echo(f"  {kept.label:<8} {kept.kind:<14} {kept.uri or kept.failure}")
