"""How a command line names a metrics source: the same settings the controller's configuration has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from controller.clients.prometheus_session import PrometheusSettings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option("--bearer-token-file", type=_FILE, help="File with a bearer token."),
    click.option("--username", help="User name for basic authentication."),
    click.option("--password-file", type=_FILE, help="File with the password of --username."),
    click.option("--ca-file", type=_FILE, help="Certificate authority of the source."),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        help="Sent with every request, e.g. X-Scope-OrgID=team.",
    ),
    click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for an answer."),
    click.option(
        "--sample-interval", default=60.0, show_default=True, help="Seconds between the source's samples."
    ),
)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say how a metrics source is reached."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_from(url: str, options: dict[str, Any]) -> PrometheusSettings:
    """The source that `options` describe. Raises click.UsageError with everything that is wrong."""
    headers: list[tuple[str, str]] = []
    for header in options["headers"]:
        name, equals, value = header.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--header must be NAME=VALUE (is '{header}')")
        headers.append((name, value))
    settings = PrometheusSettings(
        name="command line",
        url=url,
        bearer_token_file=options["bearer_token_file"],
        username=options["username"],
        password_file=options["password_file"],
        ca_file=options["ca_file"],
        headers=tuple(headers),
        timeout_seconds=options["timeout"],
        sample_interval_seconds=options["sample_interval"],
    )
    problems = settings.problems()
    if problems:
        raise click.UsageError("; ".join(problems))
    return settings
