"""
Every command that a page shows, as far as it can be checked without running it.

Ours are parsed by the program's own parser, `make` by the Makefile, `helm` by the chart's values, and
CloudFormation's parameters by the template. Run for real: docs/start/kind.md (tests/operate), what
docs/start/ecs.md and eks.md say of our own commands (tests/docs/test_tutorials.py). Only their syntax is
checked of docker, kind, skopeo, cosign and the AWS commands.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import click
import pytest
import yaml

from controller.cli.kubectl import plugin
from controller.cli.main import main
from tests.docs.pages import PAGES, REPOSITORY, Block, blocks_of

SHELL = ("sh", "console", "")
"""A block without a language shows commands, too; what it prints is no command of ours."""
OURS = ("bilgepump", "kubectl bilgepump")
SCHEMA = json.loads((REPOSITORY / "charts" / "bilgepump" / "values.schema.json").read_text())
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Line:
    """One command of a block."""

    block: Block
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block}: {' '.join(self.words[:4])}"


def lines_of(block: Block) -> Iterator[Line]:
    """Its commands, continued lines as one; what a substitution would give is one word."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for shown in text.splitlines():
        line = re.sub(r"\$\([^()]*(\([^()]*\)[^()]*)*\)", "SUBSTITUTED", shown.removeprefix("$ "))
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue  # what a command printed, with an apostrophe in it
        for part in _between(words, ("&&", "||", ";", "|")):
            yield Line(block, tuple(part[: part.index(">")] if ">" in part else part))


def _between(words: list[str], marks: tuple[str, ...]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word in marks:
            yield part
            part = []
        else:
            part.append(word)
    yield part


LINES = [
    line
    for page in PAGES
    for block in blocks_of(page)
    if block.language in SHELL
    for line in lines_of(block)
    if line.words
]


def beginning(*words: str) -> list[Line]:
    return [line for line in LINES if line.words[: len(words)] == words]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and what it is given."""
    group: click.Command = plugin if words[:2] == ["kubectl", "bilgepump"] else main
    rest = words[2:] if group is plugin else words[1:]
    while isinstance(group, click.Group):
        found = group.get_command(click.Context(group), rest[0])
        assert found is not None, f"there is no command {rest[0]}"
        group, rest = found, rest[1:]
    return group, rest


OF_OURS = [line for words in OURS for line in beginning(*words.split())]


@pytest.mark.parametrize("line", OF_OURS, ids=str)
def test_command_of_ours_is_one_the_program_takes(line: Line) -> None:
    command, given = command_of(list(line.words))
    context = click.Context(command)
    given = [word[1:-1] if re.fullmatch(r"\[[A-Z]+\]", word) else word for word in given]
    options, arguments, _ = command.make_parser(context).parse_args(args=given)
    assert not arguments, f"not understood: {arguments}"
    for parameter in command.params:
        assert parameter.name is not None
        value = options.get(parameter.name)
        from_environment = isinstance(parameter, click.Option) and parameter.envvar
        if parameter.required and not from_environment:
            assert value is not None, f"{parameter.human_readable_name} is missing"
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            assert value in parameter.type.choices


def test_every_command_of_ours_is_shown_somewhere() -> None:
    shown = {command_of(list(line.words))[0].name for line in OF_OURS}
    names = {
        main.get_command(click.Context(main), name).name for name in main.list_commands(click.Context(main))
    }
    assert names - shown == {"run"}  # what the image runs


@pytest.mark.parametrize("line", beginning("make"), ids=str)
def test_make_has_the_target(line: Line) -> None:
    wanted = [word for word in line.words[1:] if "=" not in word]
    assert set(wanted) <= TARGETS


def settings(line: Line) -> Iterator[str]:
    for before, word in zip(line.words, line.words[1:], strict=False):
        if before in ("--set", "--set-string"):
            yield from (one.partition("=")[0] for one in re.split(r"(?<!\\),", word))


def ours(line: Line) -> bool:
    return line.words[1:2] in (("install",), ("upgrade",), ("template",)) and "charts/bilgepump" in line.words


OF_HELM = [(line, name) for line in beginning("helm") if ours(line) for name in settings(line)]


@pytest.mark.parametrize(("line", "name"), OF_HELM, ids=str)
def test_value_that_is_set_is_one_of_the_charts(line: Line, name: str) -> None:
    schema = SCHEMA
    for part in re.split(r"(?<!\\)\.", name):
        if "properties" not in schema:
            return  # a mapping of anything, such as annotations
        assert part in schema["properties"], f"the chart has no value {name}"
        schema = schema["properties"][part]


def test_some_of_each_sort_was_found() -> None:
    """The checks above would be empty if they recognised nothing."""
    assert len(OF_OURS) > 30
    assert len(beginning("make")) > 3
    assert len(OF_HELM) > 8


def test_stacks_parameters_are_the_templates() -> None:
    (line,) = beginning("aws", "cloudformation", "deploy")
    text = (REPOSITORY / "charts" / "ecs" / "bilgepump.yaml").read_text()
    known = yaml.safe_load(text[text.index("Parameters:") : text.index("Conditions:")])["Parameters"]
    start = line.words.index("--parameter-overrides") + 1
    given = {word.partition("=")[0] for word in line.words[start:]}
    assert given <= known.keys()
    assert {name for name, one in known.items() if "Default" not in one} <= given
