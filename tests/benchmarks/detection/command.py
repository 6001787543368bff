"""The judge's command line: without a subcommand it runs the contest, `generate` writes labelled
recordings.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.detection import calibration
from tests.benchmarks.detection.case import Family, family_named
from tests.benchmarks.detection.contest import contest, detectors
from tests.benchmarks.detection.corpus import Draw, draws, seeds_named, write
from tests.benchmarks.detection.families import ALL
from tests.benchmarks.detection.figures import beaten, figures, report
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.real import FAMILIES as REAL
from tests.benchmarks.detection.score import Outcome, Rate, summary
from tests.benchmarks.detection.tables import by_family, table, totals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    generates = given[:1] == ["generate"]
    options = _generate_parser().parse_args(given[1:]) if generates else _contest_parser().parse_args(given)
    try:
        chosen = _draws(options)
        detectors([] if generates else options.peers)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _generate(options, chosen) if generates else _contest(options, chosen)


def _add_choice(parser: argparse.ArgumentParser, seeds: str) -> None:
    parser.add_argument(
        "--seeds", default=seeds, help="tuning, report, N or FIRST-LAST (default: %(default)s)"
    )
    parser.add_argument(
        "--series", type=int, default=1000, metavar="N", help="least number of cases of a named half"
    )
    parser.add_argument(
        "--families", nargs="*", default=[], metavar="F", help="names, or beginnings of names"
    )


def _contest_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection", description=__doc__)
    _add_choice(parser, "tuning")
    parser.add_argument("--peers", nargs="*", default=["all"], metavar="P", help="ours, peers, all, or names")
    parser.add_argument(
        "--real", type=int, default=120, metavar="N", help="draws of each real family (default: 120)"
    )
    parser.add_argument(
        "--every", type=int, default=10, metavar="MIN", help="minutes between our looks (default: 10)"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--beside", type=Path, metavar="FILE", help="an earlier -o json, whose detectors are added"
    )
    parser.add_argument("-o", dest="output", choices=["text", "json"], default="text")
    return parser


def _generate_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection generate")
    _add_choice(parser, "0-9")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser


def _generate(options: argparse.Namespace, chosen: Sequence[Draw]) -> int:
    for number, path in enumerate(write(chosen, options.out), start=1):
        print(f"\r{number}/{len(chosen)} {path.name:70.70s}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return 0


def _contest(options: argparse.Namespace, chosen: Sequence[Draw]) -> int:
    seconds = 60.0 * options.every
    generated = contest(chosen, options.peers, options.processes, seconds)
    first = seeds_named(options.seeds, 1)[0]
    real_draws = draws(range(first, first + options.real), REAL)
    real = contest(real_draws, options.peers, options.processes, seconds) if options.real else {}
    if options.beside:
        earlier = json.loads(options.beside.read_text())
        generated |= {
            name: found for name, found in _outcomes(earlier["generated"]).items() if name not in generated
        }
        real |= {name: found for name, found in _outcomes(earlier["real"]).items() if name not in real}
    noise = calibration.table([name for name in calibration.tests() if name in generated])
    write_out = _as_json if options.output == "json" else _as_text
    print(write_out(options.seeds, generated, real, noise))
    return 0


def _draws(options: argparse.Namespace) -> list[Draw]:
    chosen = _families(options.families)
    per_seed = len(draws([0], chosen))
    return draws(seeds_named(options.seeds, math.ceil(options.series / per_seed)), chosen)


def _families(beginnings: Sequence[str]) -> tuple[Family, ...]:
    if not beginnings:
        return ALL
    found = tuple(family for family in ALL if family.name.startswith(tuple(beginnings)))
    return found or (family_named(ALL, beginnings[0]),)


def _outcomes(detectors: Mapping[str, Any]) -> dict[str, list[Outcome]]:
    """Read the outcomes of an earlier run's JSON."""
    return {
        name: [Outcome(**one | {"truth": Truth(one["truth"])}) for one in found["outcomes"]]
        for name, found in detectors.items()
    }


Outcomes = Mapping[str, Sequence[Outcome]]
Noise = Mapping[str, Mapping[float, Rate]]


def _as_text(seeds: str, generated: Outcomes, real: Outcomes, noise: Noise) -> str:
    parts = [f"# Generated families, seeds: {seeds}", totals(generated, ["ours"]), by_family(generated)]
    if real:
        parts += ["# Real pods, untouched and with an injected leak", totals(real, ["ours"]), by_family(real)]
    if noise:
        parts += ["# Slope test on trend-free AR(1), nominal 1 %: called rising, %", _noise(noise)]
    if "ours" in generated:
        measured = figures(generated["ours"], real.get("ours", ()), noise.get("ours", {}))
        better = beaten(generated)
        parts += ["# Figures", report(measured)]
        parts += [
            f"{'beaten' if won else 'NOT beaten'} in F1 and false rate: {name}"
            for name, won in better.items()
        ]
    return "\n\n".join(parts)


def _noise(noise: Noise) -> str:
    head = ("test", *(f"phi {phi}" for phi in calibration.PHIS))
    return table(
        [head, *((name, *(f"{100 * r.share:.1f}" for r in rates.values())) for name, rates in noise.items())]
    )


def _as_json(seeds: str, generated: Outcomes, real: Outcomes, noise: Noise) -> str:
    answer = {
        "seeds": seeds,
        "generated": {name: _detector_json(said) for name, said in generated.items()},
        "real": {name: _detector_json(said) for name, said in real.items()},
        "calibration": {
            name: {str(phi): r.share for phi, r in rates.items()} for name, rates in noise.items()
        },
    }
    if "ours" in generated:
        measured = figures(generated["ours"], real.get("ours", ()), noise.get("ours", {}))
        answer["figures"] = [asdict(f) | {"mark": f.mark} for f in measured]
        answer["beaten"] = beaten(generated)
    return json.dumps(_finite(answer), indent=1)


def _finite(value: object) -> object:
    """Write what is not a number as null: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _detector_json(said: Sequence[Outcome]) -> dict[str, object]:
    return {"summary": asdict(summary(said)), "outcomes": [asdict(outcome) for outcome in said]}
