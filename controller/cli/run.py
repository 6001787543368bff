"""`bilgepump run`: the controller itself."""

import asyncio
import sys
from pathlib import Path

import click

from controller.cli.options import log_level_option, short_lookback_option
from controller.ports import PlatformUnavailable
from controller.settings import ConfigurationError, read_settings


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The settings file, as the chart writes it.",
)
@short_lookback_option
@log_level_option
def run(config: Path, allow_short_lookback: bool, log_level: str) -> None:
    """
    Run the controller: in a pod, or anywhere with a kubeconfig.

    Example: bilgepump run --config settings.yaml

    Exit codes: 0 stopped by a signal, 1 a part of it failed, 2 the settings cannot be used.
    """
    from controller.json_logs import configure_logging
    from controller.wiring import run as run_controller

    try:
        settings = read_settings(config)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    if allow_short_lookback:
        settings = settings.model_copy(update={"allow_short_lookback": True})
    configure_logging(log_level)
    try:
        asyncio.run(run_controller(settings, config))
    except PlatformUnavailable as error:
        click.echo(str(error), err=True)
        sys.exit(1)
