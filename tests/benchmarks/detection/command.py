"""`generate` writes labelled recordings."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.detection.case import Family, family_named
from tests.benchmarks.detection.corpus import draws, seeds_named, write
from tests.benchmarks.detection.families import ALL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection", description=__doc__)
    commands = parser.add_subparsers(required=True)
    generate = commands.add_parser("generate", help="write labelled recordings as query_range answers")
    generate.add_argument("--seeds", default="0-9", help="tuning, report, N or FIRST-LAST")
    generate.add_argument(
        "--series", type=int, default=10, metavar="N", help="seeds per family of a named half"
    )
    generate.add_argument("--families", nargs="*", default=[], help="names, or beginnings of names")
    generate.add_argument("--out", type=Path, required=True, metavar="DIR")
    generate.set_defaults(run=_generate)
    return parser


def _generate(options: argparse.Namespace) -> int:
    chosen = draws(seeds_named(options.seeds, options.series), _families(options.families))
    for number, path in enumerate(write(chosen, options.out), start=1):
        print(f"\r{number}/{len(chosen)} {path.name:70.70s}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return 0


def _families(beginnings: Sequence[str]) -> tuple[Family, ...]:
    if not beginnings:
        return ALL
    found = tuple(family for family in ALL if family.name.startswith(tuple(beginnings)))
    return found or (family_named(ALL, beginnings[0]),)
