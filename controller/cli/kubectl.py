"""
`kubectl bilgepump`: what people do in a cluster, under kubectl's own roof.

kubectl calls `kubectl-bilgepump` with the words that follow, and `kubectl_complete-bilgepump` to complete
them.
"""

import sys
from collections.abc import Mapping

import click
from click.shell_completion import ShellComplete

from controller import __version__
from controller.cli.main import BY_HAND, LazyGroup, Word

NO_FILES = ":4"
"""Cobra's directive after the candidates: do not complete names of files."""


class PluginGroup(LazyGroup):
    """The commands for a cluster."""

    sections: Mapping[str, Mapping[str, Word]] = {"Commands": BY_HAND}


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl bilgepump")
def plugin() -> None:
    """
    See what leaks in a cluster, and do by hand what the controller does, with your own rights.

    The same words as in `bilgepump`. Put --namespace, --context and --kubeconfig after the word.
    """


def main() -> None:
    """`kubectl-bilgepump`."""
    plugin(prog_name="kubectl bilgepump")


def complete() -> None:
    """`kubectl_complete-bilgepump`: candidates, one a line, and cobra's directive."""
    *words, begun = sys.argv[1:] or [""]
    shell = ShellComplete(plugin, {}, "kubectl bilgepump", "")
    for item in shell.get_completions(words, begun):
        if item.type == "plain":
            print(f"{item.value}\t{item.help}" if item.help else item.value)
    print(NO_FILES)
