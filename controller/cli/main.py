"""The root of the command line. Subcommands are imported when they are called: most need only a part."""

from importlib import import_module

import click

from controller import __version__

COMMANDS = {
    "run": "controller.cli.run:run",
    "ecs": "controller.cli.ecs:ecs",
    "incidents": "controller.cli.incidents:incidents",
    "scan": "controller.cli.scan:scan",
    "backtest": "controller.cli.backtest:backtest",
    "explain": "controller.cli.explain:explain",
    "report": "controller.cli.report:report",
    "diagnose": "controller.cli.diagnose:diagnose",
    "check-policy": "controller.cli.check_policy:check_policy",
}


class LazyGroup(click.Group):
    """A group whose commands are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Names, in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command called `cmd_name`."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101  (COMMANDS names nothing else)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bilgepump")
def main() -> None:
    """Find memory leaks early, keep the evidence, restart safely, prove that memory came down."""
