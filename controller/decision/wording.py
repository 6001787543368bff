"""How spans, moments and sizes are written in a decision's message."""

from datetime import UTC, datetime, timedelta


def span_text(span: timedelta) -> str:
    """`6h`, `1h30m`, `45m`, `20s`."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{int(span.total_seconds())}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours and minutes else f"{hours}h" if hours else f"{minutes}m"


def clock_text(moment: datetime) -> str:
    """`2026-03-02 12:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def mebibytes_text(size_bytes: int) -> str:
    """`358 MiB`."""
    return f"{size_bytes / 2**20:.0f} MiB"


def growth_text(bytes_per_hour: float | None) -> str:
    """A growth as people read it in a table: `38 MiB/h`; empty where none is known."""
    if bytes_per_hour is None:
        return ""
    rate = bytes_per_hour / 2**20
    return f"{rate:.0f} MiB/h" if rate >= 10 else f"{rate:.1f} MiB/h"
