"""Options that several commands have."""

from datetime import timedelta
from typing import Any

import click

from controller.platforms.ecs.place import StatePlace, parse_place
from controller.policy.units import parse_duration


class DurationParam(click.ParamType[timedelta]):
    """A duration as in policies: `60s`, `5m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Text as a duration; anything else is refused."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail("must be a duration such as 60s or 5m", param, ctx)


class PlaceParam(click.ParamType[StatePlace]):
    """A directory or `s3://BUCKET/PREFIX`."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StatePlace:
        """Text as a place; anything else is refused."""
        if not isinstance(value, str):
            place: StatePlace = value
            return place
        try:
            return parse_place(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="How much is logged, as JSON lines on standard error.",
)
short_lookback_option = click.option(
    "--allow-short-lookback",
    is_flag=True,
    help="Let policies remediate on a lookback below two hours: for demonstrations and tests.",
)
state_region_option = click.option(
    "--state-region",
    envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
    default="",
    metavar="REGION",
    help="Region of the bucket in --state. [env: AWS_REGION]",
)
