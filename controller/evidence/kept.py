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
    """The lines about memory of the program's own `/metrics`: all there is of a runtime without pprof."""
    CONTEXT = "context"
    """How the container ended before, and recent events."""
    LOG = "log"
    PREVIOUS_LOG = "previouslog"
    """Of the container before its last restart."""

    @property
    def suffix(self) -> str:
        """How the names of its files end."""
        if self in (FileKind.MEMORY, FileKind.CONTEXT):
            return "json"
        return "pb.gz" if self in (FileKind.HEAP, FileKind.GOROUTINE, FileKind.GOROUTINE_LEAK) else "txt"

    @property
    def is_profile(self) -> bool:
        """Whether it tells where memory is."""
        return self not in (FileKind.CONTEXT, FileKind.LOG, FileKind.PREVIOUS_LOG)


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
