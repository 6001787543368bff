"""What `bilgepump scan` prints: one line per workload and container, those with the least time left first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from controller.cli.plain_cells import WIDE, Column, fitting
from controller.detection.assessment import Assessment, Verdict
from controller.detection.reasons import AssessmentReason
from controller.detection.statement import three_digits
from controller.metrics.series import BlockMatrix, Signal

GRAVITY = (Verdict.LEAKING, Verdict.SUSPECT, Verdict.INSUFFICIENT_DATA, Verdict.HEALTHY)
"""Of workloads."""
BARS = "▁▂▃▄▅▆▇█"
MIB = 2.0**20
SPARKS = 24

COLUMNS = (
    Column(name="WORKLOAD", fold=24),
    Column(name="LEAKING", least=7),
    Column(name="CLASS", spare=True),
    Column(name="GROWTH/H", least=14),
    Column(name="USED/LIMIT", least=11),
    Column(name="THRESHOLD AT", least=18),
    Column(name="VERDICT"),
    Column(name="BECAUSE", least=24),
    Column(name="FLOORS", least=SPARKS, spare=True),
)
MORE_COLUMNS = (Column(name="POD", fold=24), Column(name="SINCE", least=17))
"""Of `-o wide`."""

_STYLE = {
    Verdict.LEAKING: "bold red",
    Verdict.SUSPECT: "yellow",
    Verdict.INSUFFICIENT_DATA: "dim",
    Verdict.HEALTHY: "green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One container name of one workload: its worst replica speaks for it."""

    workload: str
    worst: Assessment
    leaking: int
    replicas: int
    sparkline: str

    @property
    def urgency(self) -> tuple[int, float]:
        """Sorts the gravest first, then by the time left."""
        return urgency_of(self.worst, GRAVITY)


def urgency_of(assessment: Assessment, gravity: Sequence[Verdict]) -> tuple[int, float]:
    """Sorts by `gravity`, the gravest first, then by the time left."""
    crossing = assessment.crossing
    left = crossing.likely.timestamp() if crossing else float("inf")
    return gravity.index(assessment.verdict), left


def sparkline(matrix: BlockMatrix, row: int) -> str:
    """The floors of one container over the lookback, in two dozen bars; a gap where nothing was measured."""
    signal = Signal.RSS_FLOOR if Signal.RSS_FLOOR in matrix.signals else Signal.WORKING_SET_FLOOR
    floors = matrix.signals[signal][row]
    parts = [part[~np.isnan(part)] for part in np.array_split(floors, min(SPARKS, len(floors)))]
    lows = np.array([part.min() if len(part) else np.nan for part in parts])
    if np.isnan(lows).all():
        return ""
    low, high = np.nanmin(lows), np.nanmax(lows)
    # A flat line is drawn flat: less than a twentieth of the level is no movement worth a bar.
    spread = max(high - low, 0.05 * high, 1.0)
    return "".join(
        " " if np.isnan(value) else BARS[min(int((value - low) / spread * len(BARS)), len(BARS) - 1)]
        for value in lows
    )


def table(findings: Sequence[Finding], now: datetime, *, wide: bool, width: int = WIDE) -> RenderableType:
    """The findings for people, in `width` cells. Colour only repeats what the words say."""
    columns = COLUMNS + MORE_COLUMNS if wide else COLUMNS
    return fitting(columns, [_cells(finding, now, wide) for finding in findings], width)


def _cells(finding: Finding, now: datetime, wide: bool) -> list[str | Text]:
    worst = finding.worst
    cells = [
        finding.workload,
        f"{finding.leaking} of {finding.replicas}",
        worst.growth_class.value,
        growth_text(worst),
        usage_text(worst),
        crossing_text(worst, now),
        Text(worst.verdict.value, style=_STYLE[worst.verdict]),
        AssessmentReason(worst.reason).sentence if wide else worst.reason,
        finding.sparkline,
    ]
    if wide:
        cells += [worst.key.pod, f"{worst.onset:%Y-%m-%d %H:%MZ}" if worst.onset else "–"]
    return cells


def growth_text(assessment: Assessment) -> str:
    """`5.0 MiB (4.6 to 5.3)`."""
    growth = assessment.growth
    if growth is None:
        return "–"
    low, high = growth.low_bytes_per_hour / MIB, growth.high_bytes_per_hour / MIB
    return f"{three_digits(growth.bytes_per_hour / MIB)} MiB ({three_digits(low)} to {three_digits(high)})"


def usage_text(assessment: Assessment) -> str:
    """`311/512 MiB 61%`."""
    if assessment.used_bytes is None:
        return "–"
    used = assessment.used_bytes / MIB
    if not assessment.limit_bytes:
        return f"{used:.0f} MiB/no limit"
    share = assessment.used_bytes / assessment.limit_bytes
    return f"{used:.0f}/{assessment.limit_bytes / MIB:.0f} MiB {share:.0%}"


def crossing_text(assessment: Assessment, now: datetime) -> str:
    """`2026-03-01 12:00Z, in 3.5 h`."""
    crossing = assessment.crossing
    if crossing is None:
        return "–"
    hours = (crossing.likely - now).total_seconds() / 3600
    if hours <= 0:
        return "reached"
    left = f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
    return f"{crossing.likely.astimezone(UTC):%Y-%m-%d %H:%MZ}, in {left}"


def documents(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings for programs."""
    return [_document(finding) for finding in findings]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "workload": finding.workload,
        **assessment_document(finding.worst),
        "replicas": finding.replicas,
        "replicasLeaking": finding.leaking,
    }


def assessment_document(worst: Assessment) -> dict[str, Any]:
    """What is said about one container, for programs."""
    growth, crossing = worst.growth, worst.crossing
    return {
        "namespace": worst.key.namespace,
        "pod": worst.key.pod,
        "container": worst.key.container,
        "verdict": worst.verdict.value,
        "reason": worst.reason,
        "message": worst.message,
        "class": worst.growth_class.value,
        "growthBytesPerHour": None if growth is None else round(growth.bytes_per_hour),
        "growthBytesPerHourLow": None if growth is None else round(growth.low_bytes_per_hour),
        "growthBytesPerHourHigh": None if growth is None else round(growth.high_bytes_per_hour),
        "usedBytes": worst.used_bytes,
        "limitBytes": worst.limit_bytes,
        "thresholdBytes": worst.threshold_bytes,
        "crossesThresholdAt": rfc3339(crossing.likely) if crossing else None,
        "crossesThresholdEarliest": rfc3339(crossing.earliest) if crossing else None,
        "crossesThresholdLatest": rfc3339(crossing.latest) if crossing and crossing.latest else None,
    }


def rfc3339(moment: datetime) -> str:
    """UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
