"""Durations and quantities as people write them in policies and settings: `1h30m`, `800Mi`."""

import re
from datetime import timedelta

DURATION_PATTERN = r"^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"
"""
The durations of Go and of CEL's `duration()`, without fractions and signs. Days are not among them, so
that the rules at admission can compare; an empty string matches and is refused apart from this.
"""

QUANTITY_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
"""The Kubernetes quantities that make sense for memory."""

DURATION = "a duration in hours, minutes and seconds, such as 6h, 1h30m or 90s; two days are 48h"
QUANTITY = "a quantity of bytes with its unit, such as 800Mi or 1.5Gi"

MINUTE = timedelta(minutes=1)
DAY = timedelta(hours=24)
MONTH = timedelta(hours=720)

_UNIT_BYTES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def parse_duration(text: str) -> timedelta:
    """
    The duration written as `text`, such as `6h`, `1h30m` or `90s`.

    Raises ValueError, with what is allowed, for anything else.
    """
    match = re.fullmatch(DURATION_PATTERN, text)
    if not text or match is None:
        raise ValueError(f"{text!r} must be {DURATION}")
    hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """`duration` as `parse_duration` reads it, in whole seconds: `1h30m`, `48h`, `0s`."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def parse_bytes(text: str) -> int:
    """
    The bytes written as the Kubernetes quantity `text`, such as `800Mi` or `1.5Gi`, rounded down.

    Raises ValueError, with what is allowed, for anything else.
    """
    match = re.fullmatch(QUANTITY_PATTERN, text)
    if match is None:
        raise ValueError(f"{text!r} must be {QUANTITY}")
    unit = match.group(2) or ""
    whole, _, fraction = text.removesuffix(unit).partition(".")
    thousandths = int(whole) * 1000 + int(fraction.ljust(3, "0"))
    return thousandths * _UNIT_BYTES[unit] // 1000
