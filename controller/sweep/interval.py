"""How long to wait for the next sweep, where every sweep costs calls: seldom, unless something is near."""

from datetime import datetime, timedelta

from controller.detection.assessment import Verdict
from controller.reporting.census import Census, Seen

SHORTEST = timedelta(minutes=1)
LOOKS_UNTIL_CROSSING = 10
"""So many sweeps before the earliest crossing of a threshold."""


def until_next_sweep(census: Census, now: datetime, longest: timedelta) -> timedelta:
    """
    Between a minute and `longest`, which may be less: then it is always that.

    A minute while something is remediated or its recovery watched, and where memory is at a threshold.
    """
    if longest <= SHORTEST:
        return longest
    waits = [_wait(seen, now) for seen in census.decided]
    nearest = min((wait for wait in waits if wait is not None), default=longest)
    return max(SHORTEST, min(longest, nearest))


def _wait(seen: Seen, now: datetime) -> timedelta | None:
    """How long this workload can wait; None where it does not care."""
    if seen.incident is not None and seen.incident.open and seen.incident.ordered:
        return SHORTEST
    if seen.judgement is None:
        return None
    worst = seen.judgement.worst
    if worst.used_bytes and worst.threshold_bytes and worst.used_bytes >= worst.threshold_bytes:
        return SHORTEST
    if seen.verdict not in (Verdict.LEAKING, Verdict.SUSPECT) or worst.crossing is None:
        return None
    return (worst.crossing.earliest - now) / LOOKS_UNTIL_CROSSING
