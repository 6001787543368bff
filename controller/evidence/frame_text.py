"""Names from a profile made safe to print: they are written by whoever built the program."""

import re

LONGEST_NAME = 512

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1: terminal escapes start here
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"  # invisible and direction-changing characters
)


def printable(name: str) -> str:
    """The name with control, invisible and direction-changing characters replaced, and cut to 512."""
    safe = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name[: LONGEST_NAME + 1])
    return safe if len(safe) <= LONGEST_NAME else safe[: LONGEST_NAME - 1] + "…"
