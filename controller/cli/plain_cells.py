"""Rows of a table as they are: names and messages come from elsewhere, and may look like markup."""

from rich.table import Table
from rich.text import Text


def add_plain_row(table: Table, *cells: str | Text) -> None:
    """
    Adds a row in which nothing is read as rich's markup.

    A `str` would be: `[/x]` in an incident's message ended the command, `[link=…]` made a link.
    """
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
