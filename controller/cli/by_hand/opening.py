"""`bilgepump open`: an incident's report, in a browser."""

import tempfile
from pathlib import Path

import click

from controller.cli.report import reader_options, report


@click.command("open")
@click.argument("name")
@click.option("-n", "--namespace", help="The incident's namespace; the kubeconfig's if it is not given.")
@reader_options
@click.pass_context
def open_report(
    ctx: click.Context, name: str, namespace: str | None, token: str | None, controller: str
) -> None:
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
        namespace=namespace,
        out=str(folder / "report.html"),
        files=None,
        opened=True,
        token=token,
        controller=controller,
    )
