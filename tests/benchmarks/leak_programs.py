"""
How often the diagnosis of a real leaking program is right: every program of `tests/leakapps`, several times.

Prints a line per program: runs, how often the top retainer was a function that holds the leak, how often
exactly the right cause was named with the right function, and how far the share of the growth was off at
most. The programs count what they hold themselves.

    python -m tests.benchmarks.leak_programs [--runs 5] [--only mapcache]
"""

import argparse
import os
from dataclasses import dataclass

from tests.leakapps.leaks import LEAKS, SHARE_TOLERANCE, Leak, observed, shares_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of a program came to."""

    retainer_is_right: bool
    cause_is_right: bool
    share_error: float


def run_of(leak: Leak) -> Run:
    """Builds, runs and diagnoses the program once."""
    diagnosis, first, second = observed(leak.program, leak.warm, leak.units)
    causes = [(each.cause.id, each.function) for each in diagnosis.causes]
    return Run(
        retainer_is_right=bool(diagnosis.retainers) and diagnosis.retainers[0].function in leak.holders,
        cause_is_right=causes == [(leak.cause, leak.culprit)],
        share_error=shares_of(leak, diagnosis, first, second).error,
    )


def main() -> None:
    """Prints the table and its sums."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=[each.program for each in LEAKS])
    options = parser.parse_args()
    print("| program | runs | right retainer | right cause | largest error of the share |")
    print("|---|---|---|---|---|")
    everything = []
    for leak in LEAKS:
        if options.only in (None, leak.program):
            runs = [run_of(leak) for _ in range(options.runs)]
            everything += runs
            print(_line(leak.program, runs), flush=True)
    print(_line("all", everything))
    within = sum(each.share_error <= SHARE_TOLERANCE for each in everything)
    print(f"\nshare within {SHARE_TOLERANCE:.0%}: {within} of {len(everything)} runs")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def _line(name: str, runs: list[Run]) -> str:
    retainers = sum(each.retainer_is_right for each in runs)
    causes = sum(each.cause_is_right for each in runs)
    worst = max(each.share_error for each in runs)
    return f"| {name} | {len(runs)} | {retainers} | {causes} | {worst:.1%} |"


if __name__ == "__main__":
    main()
