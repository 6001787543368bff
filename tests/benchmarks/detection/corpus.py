"""Which cases a run draws, in which order, and the files they are written to."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.detection.case import Case, Family, family_named
from tests.benchmarks.detection.families import ALL
from tests.benchmarks.detection.real import FAMILIES as REAL
from tests.benchmarks.detection.recording import matrix

TUNING_SEEDS = range(1000)
REPORTING_SEEDS = range(100_000, 200_000)

POLICY = """\
apiVersion: bilgepump.dev/v1alpha1
kind: MemoryPolicy
metadata:
  name: bench
  namespace: bench
spec:
  mode: Remediate
  target:
    selector: {matchLabels: {app: bench}}
  metrics:
    requestRate:
      metric: http_requests_total
  detection:
    threshold: {percent: 70}
    criticalPercent: 85
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One case to draw: cheap to send to another process, complete to draw it again."""

    family: str
    seed: int
    hostile: bool

    @property
    def name(self) -> str:
        return f"{self.family}{'-hostile' if self.hostile else ''}-{self.seed}"

    def case(self) -> Case:
        return family_named((*ALL, *REAL), self.family).case(self.seed, hostile=self.hostile)


def draws(
    seeds: Iterable[int], families: Iterable[Family] = ALL, variants: tuple[bool, ...] = (False, True)
) -> list[Draw]:
    """List the cases of these seeds, seed by seed, so that a run cut short has seen every family."""
    chosen = list(families)
    return [
        Draw(family=family.name, seed=seed, hostile=hostile)
        for seed in seeds
        for family in chosen
        for hostile in family.variants()
        if hostile in variants
    ]


def seeds_named(text: str, count: int) -> list[int]:
    """Turn `tuning`, `report`, `7` or `0-9` into seeds; `count` limits the named halves.

    Raises:
        ValueError: the text is none of these.

    """
    named = {"tuning": TUNING_SEEDS, "report": REPORTING_SEEDS}
    if text in named:
        return list(named[text][:count])
    first, _, last = text.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        raise ValueError(f"seeds {text!r}: allowed are tuning, report, a number, or first-last such as 0-9")
    return list(range(int(first), int(last or first) + 1))


def write(chosen: Iterable[Draw], directory: Path) -> Iterator[Path]:
    """Write each case as NAME.matrix.json.gz, and labels.json and policy.yaml for all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    labels = []
    for draw in chosen:
        case = draw.case()
        path = directory / f"{draw.name}.matrix.json.gz"
        with gzip.open(path, "wt", compresslevel=4) as file:
            json.dump(matrix(case.recordings), file, separators=(",", ":"))
        labels.append({"file": path.name, **asdict(draw), "labels": [asdict(label) for label in case.labels]})
        yield path
    (directory / "labels.json").write_text(json.dumps(labels, indent=1))
    (directory / "policy.yaml").write_text(POLICY)
