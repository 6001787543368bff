"""What was kept, and what could not be."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FileKind(StrEnum):
    """What a kept file holds; the value is its file name's last part."""

    HEAP = "heap"
    GOROUTINE = "goroutine"
    GOROUTINE_LEAK = "goroutineleak"
    MEMORY = "memory"
    METRICS = "metrics"
    """Of a runtime without pprof: the answer of its `/metrics`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """One file in the evidence store, or why it is not there (`failure`)."""

    kind: FileKind
    label: str
    """Which capture it belongs to: `early`, `late`, `baseline`."""
    replica: str
    container: str
    captured_at: datetime
    uri: str = ""
    sha256: str = ""
    size_bytes: int = 0
    failure: str = ""
    """Reason and message where nothing could be kept."""
