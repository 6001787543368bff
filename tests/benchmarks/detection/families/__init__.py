"""Kinds of memory behaviour, each drawn from wide ranges; `ALL` is every one that is generated."""

from tests.benchmarks.detection.families import (
    fleets,
    futile,
    healthy_growth,
    healthy_rhythm,
    leaks,
    leaks_hidden,
    undecidable,
)

ALL = (
    *leaks.FAMILIES,
    *leaks_hidden.FAMILIES,
    *healthy_rhythm.FAMILIES,
    *healthy_growth.FAMILIES,
    *fleets.FAMILIES,
    *undecidable.FAMILIES,
    *futile.FAMILIES,
)
