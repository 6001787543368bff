"""
What a person asks for by hand, in an annotation of the workload: a restart, or profiles.

Whoever may patch the workload may ask, and could restart it anyway: an annotation gives nobody a new power.
The controller answers through the same gates and writes the same incident.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

VALID_FOR = timedelta(hours=1)
"""How long a request waits for its gates to open. Then it is over, and has to be asked again."""

_FORM = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?P<who>[^\s:][^\n]{0,252}?): (?P<why>[^\n]{1,512})"
)


class RequestKind(StrEnum):
    """What can be asked for; the values are those of the annotations' names."""

    RESTART = "restart"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request."""

    kind: RequestKind
    at: datetime
    who: str
    """As the API server knew the asking person; whoever writes the annotation by hand can write anything."""
    why: str

    def valid_at(self, now: datetime) -> bool:
        """Whether it is still to be answered at `now`; one from the future is not."""
        return self.at <= now < self.at + VALID_FOR

    @property
    def label(self) -> str:
        """What the files of a capture that was asked for are called by."""
        return f"requested-{self.at:%Y%m%d-%H%M%S}"

    @property
    def text(self) -> str:
        """As the annotation holds it."""
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ} {self.who}: {self.why}"


def parse_request(kind: RequestKind, text: str) -> Request | None:
    """The request in an annotation, `2026-03-01T12:00:00Z WHO: WHY`; None where it has another form."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    try:
        at = datetime.fromisoformat(match["at"])
    except ValueError:
        return None
    return Request(kind=kind, at=at, who=match["who"], why=match["why"])
