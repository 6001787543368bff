"""`bilgepump check-policy`: what a policy's author can know before anything is applied."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import click
import yaml

from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import CLUSTER_KIND, KIND, parse_policy
from controller.policy.problem import PolicyProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One document of one file, checked."""

    file: str
    policy: str
    """`namespace/name`; empty where the document has no name."""
    problems: tuple[PolicyProblem, ...]


@click.command("check-policy")
@click.argument("files", nargs=-1, required=True, type=click.File(encoding="utf-8"))
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--allow-short-lookback", is_flag=True, help="Check as for a controller that allows short lookbacks."
)
@click.option("--ecs", "on_ecs", is_flag=True, help="Check as for `bilgepump ecs`.")
def check_policy(files: tuple[TextIO, ...], output: str, allow_short_lookback: bool, on_ecs: bool) -> None:
    """
    Check MemoryPolicy and ClusterMemoryPolicy documents in FILES, without a cluster.

    Documents of other kinds are passed over, so that whole manifests can be checked; `-` is standard input.

    Example: bilgepump check-policy policies/*.yaml

    Exit codes: 0 all policies are good, 1 there are problems or no policy at all, 2 wrong usage.
    """
    findings = [finding for file in files for finding in _check(file, allow_short_lookback, on_ecs)]
    if output == "json":
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            _print(finding)
    sys.exit(1 if any(finding.problems for finding in findings) else 0)


def _check(file: TextIO, allow_short_lookback: bool, on_ecs: bool) -> Iterator[Finding]:
    """A finding for every policy in `file`, or one that says why there is none."""
    try:
        documents = list(yaml.safe_load_all(file.read()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield _unusable(file.name, f"must be YAML: {' '.join(str(error).split())}")
        return
    policies = [document for document in _flat(documents) if document.get("kind") in (KIND, CLUSTER_KIND)]
    if not policies:
        yield _unusable(file.name, f"must have a document of kind {KIND}")
    for document in policies:
        parsed = parse_policy(document, allow_short_lookback=allow_short_lookback, on_ecs=on_ecs)
        if isinstance(parsed, MemoryPolicy):
            yield Finding(file=file.name, policy=parsed.key, problems=())
        else:
            metadata = document.get("metadata")
            name = metadata.get("name", "") if isinstance(metadata, dict) else ""
            yield Finding(file=file.name, policy=str(name), problems=parsed)


def _flat(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """Every object, those in a `List` included."""
    for document in documents:
        if isinstance(document, dict):
            items = document.get("items")
            yield from (
                _flat(items) if document.get("kind") == "List" and isinstance(items, list) else (document,)
            )


def _unusable(file: str, message: str) -> Finding:
    return Finding(
        file=file, policy="", problems=(PolicyProblem(field="document", value="", message=message),)
    )


def _print(finding: Finding) -> None:
    if not finding.problems:
        click.echo(f"{finding.file}: {finding.policy} is good")
    for problem in finding.problems:
        click.echo(f"{finding.file}: {f'{finding.policy}: ' if finding.policy else ''}{problem}")
