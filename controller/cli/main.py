"""The root of the command line. Subcommands are imported when they are called: most need only a part."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

from controller import __version__


@dataclass(frozen=True, slots=True)
class Word:
    """One command: where it is, and what the list of commands says of it."""

    where: str
    """`module:name`."""
    summary: str
    """Short enough not to be cut off at 80 columns."""


BY_HAND = {
    "leaks": Word(
        "controller.cli.by_hand.leaks:leaks", "List what leaks or is suspect, least time left first."
    ),
    "explain": Word("controller.cli.explain:explain", "Tell what is thought of a workload, gate by gate."),
    "capture": Word("controller.cli.by_hand.asking:capture", "Ask for profiles of a workload now."),
    "restart": Word("controller.cli.by_hand.asking:restart", "Ask for a restart, through the same gates."),
    "approve": Word("controller.cli.by_hand.approving:approve", "Approve what an incident waits for."),
    "acknowledge": Word(
        "controller.cli.by_hand.acknowledging:acknowledge", "Say that you looked at an incident."
    ),
    "pause": Word("controller.cli.by_hand.pausing:pause", "Leave a workload or namespace alone."),
    "resume": Word("controller.cli.by_hand.pausing:resume", "End the pause."),
    "report": Word("controller.cli.report:report", "Fetch an incident's report and profiles."),
    "open": Word("controller.cli.by_hand.opening:open_report", "Show an incident's report in a browser."),
}
"""What people do in a cluster, with their own rights; also `kubectl bilgepump`."""

SECTIONS: Mapping[str, Mapping[str, Word]] = {
    "Look, with nothing installed": {
        "scan": Word("controller.cli.scan:scan", "Find every leaking container, read-only."),
        "try": Word("controller.cli.try_out:try_out", "Write a starting policy, with the reasons."),
        "backtest": Word("controller.cli.backtest:backtest", "Replay a policy over recorded history."),
        "diagnose": Word("controller.cli.diagnose:diagnose", "Say what leaks in a program, and why."),
        "check-policy": Word(
            "controller.cli.check_policy:check_policy", "Check policies, without a cluster."
        ),
    },
    "In a cluster, with your own rights": BY_HAND,
    "The controller": {
        "run": Word("controller.cli.run:run", "Run it for Kubernetes."),
        "ecs": Word("controller.cli.ecs:ecs", "Run it for ECS services, without Kubernetes."),
        "incidents": Word("controller.cli.incidents:incidents", "List the incidents of `bilgepump ecs`."),
    },
}
COMMANDS: Mapping[str, Word] = {name: word for words in SECTIONS.values() for name, word in words.items()}


class LazyGroup(click.Group):
    """A group whose commands are loaded by name, and listed without being loaded."""

    sections: Mapping[str, Mapping[str, Word]] = SECTIONS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Names, in the order people meet them."""
        return [name for words in self.sections.values() for name in words]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command called `cmd_name`."""
        word = next((words[cmd_name] for words in self.sections.values() if cmd_name in words), None)
        if word is None:
            return None
        module, _, name = word.where.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101  (a Word names nothing else)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Each section with a line for each command."""
        for title, words in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, word.summary) for name, word in words.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bilgepump")
def main() -> None:
    """Find memory leaks early, keep the evidence, restart safely, prove that memory came down."""
