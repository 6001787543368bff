"""`bilgepump open`: an incident's report, in a browser."""

import tempfile
from pathlib import Path

import click

from controller.cli.by_hand.access import Where, cluster_options
from controller.cli.report import reader_options, report


@click.command("open")
@click.argument("name")
@cluster_options
@reader_options
@click.pass_context
def open_report(ctx: click.Context, name: str, where: Where, token: str | None, controller: str) -> None:
    """
    Show the report of the MemoryIncident called NAME in a browser.

    As `bilgepump report NAME --open`, with the page in a folder for temporary files.

    Example: bilgepump open api-3f2a91c0de -n shop

    Exit codes: 0 opened, 1 could not be fetched, 2 wrong usage.
    """
    folder = Path(tempfile.mkdtemp(prefix="bilgepump-"))
    ctx.invoke(
        report,
        name=name,
        namespace=where.given_namespace,
        context=where.context,
        kubeconfig=where.kubeconfig,
        out=str(folder / "report.html"),
        files=None,
        opened=True,
        token=token,
        controller=controller,
    )
