"""Cells of a table as they are: names and messages come from elsewhere, and may look like markup."""

from datetime import timedelta

from rich.table import Table
from rich.text import Text

WIDE = 200
"""Columns where nobody looks through a terminal, so that nothing is cut off in a pipe."""


def add_plain_row(table: Table, *cells: str | Text) -> None:
    """
    Adds a row in which nothing is read as rich's markup.

    A `str` would be: `[/x]` in an incident's message ended the command, `[link=…]` made a link.
    """
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def age_text(span: timedelta) -> str:
    """`40m`, `3h`, `2d`: as kubectl writes ages."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{int(span.total_seconds())}s"
    return (
        f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
    )
