"""The worked example of docs/how-it-decides.md, row by row, from the code that it explains."""

from datetime import datetime

import pytest

from controller.detection.assessment import Assessment, Growth
from controller.detection.sensitivity import DAY_OUTLIVED, Patience
from tests.detection.fleet import MIB, NOW, hours_before, judged_after
from tests.docs.pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-it-decides.md"


def _rows() -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split("### A worked example\n")[1].split("\n### ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("**", "") for cell in line.strip("|").split("|")] for line in lines]


def _cells(hours: float) -> list[str]:
    """What stands in the row of so many hours."""
    memory = 100 + 4.5 * hours_before(hours)
    said = judged_after(hours, memory)
    return [
        f"{hours:g} h",
        f"{memory[-1]:.0f}",
        said.verdict.value,
        said.reason.value,
        _slope(said.growth) if said.growth else "",
        *_time(said),
    ]


def _slope(growth: Growth) -> str:
    paces = growth.bytes_per_hour, growth.low_bytes_per_hour, growth.high_bytes_per_hour
    likely, low, high = (pace / MIB for pace in paces)
    return f"{likely:.2f} ({low:.2f}–{high:.2f})"


def _time(said: Assessment) -> tuple[str, str, str]:
    if said.crossing is None:
        return "", "", ""
    assert said.crossing.latest is not None
    crossing = said.crossing.likely, said.crossing.earliest, said.crossing.latest
    likely, earliest, latest = (_hours_until(moment) for moment in crossing)
    tests = dict(said.tests)
    grown = tests["grownForSeconds"]
    patience = Patience().first_day if grown < DAY_OUTLIVED else Patience().second_day
    over_grown = tests.get(
        "timeToThresholdOverGrown", patience * tests.get("timeToThresholdOverAllowed", 0.0)
    )
    return f"{likely:.1f} ({earliest:.1f}–{latest:.1f})", f"{over_grown:.2f}", f"{patience:g}"


def _hours_until(moment: datetime) -> float:
    return (moment - NOW).total_seconds() / 3600


def test_example_has_every_verdict() -> None:
    assert {row[2] for row in _rows()} == {"InsufficientData", "Healthy", "Suspect", "Leaking"}


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_row_is_what_the_code_says(row: list[str]) -> None:
    assert row == _cells(float(row[0].removesuffix(" h")))
