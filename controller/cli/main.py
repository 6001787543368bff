"""The root of the command line. Subcommands are imported when they are called: most need only a part."""

from collections.abc import Mapping
from importlib import import_module

import click

from controller import __version__

BY_HAND = {
    "leaks": "controller.cli.by_hand.leaks:leaks",
    "explain": "controller.cli.explain:explain",
    "capture": "controller.cli.by_hand.asking:capture",
    "restart": "controller.cli.by_hand.asking:restart",
    "approve": "controller.cli.by_hand.approving:approve",
    "acknowledge": "controller.cli.by_hand.acknowledging:acknowledge",
    "pause": "controller.cli.by_hand.pausing:pause",
    "resume": "controller.cli.by_hand.pausing:resume",
    "report": "controller.cli.report:report",
    "open": "controller.cli.by_hand.opening:open_report",
}
"""What people do in a cluster, with their own rights; also `kubectl bilgepump`."""

COMMANDS = {
    "run": "controller.cli.run:run",
    "ecs": "controller.cli.ecs:ecs",
    "incidents": "controller.cli.incidents:incidents",
    "scan": "controller.cli.scan:scan",
    "try": "controller.cli.try_out:try_out",
    "backtest": "controller.cli.backtest:backtest",
    "diagnose": "controller.cli.diagnose:diagnose",
    "check-policy": "controller.cli.check_policy:check_policy",
    **BY_HAND,
}


class LazyGroup(click.Group):
    """A group whose commands are loaded by name."""

    where: Mapping[str, str] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Names, in the order people meet them."""
        return list(self.where)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command called `cmd_name`."""
        where = self.where.get(cmd_name)
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
