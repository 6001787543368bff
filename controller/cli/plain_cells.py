"""Cells of a table as they are: names and messages come from elsewhere, and may look like markup."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.cells import cell_len
from rich.console import Group, RenderableType
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table that fits. Widths are in cells of the terminal."""

    name: str
    least: int = 0
    """Text is not wrapped narrower than this; words are kept whole unless they `fold`."""
    fold: int | None = None
    """Words longer than this, names mostly, are broken where room is short."""
    spare: bool = False
    """Left out of a table that would be too wide with it."""

    def narrowest(self, cells: Sequence[Text]) -> int:
        """In which it can be read."""
        words = [word for text in (self.name, *(cell.plain for cell in cells)) for word in text.split()]
        longest = max(map(cell_len, words), default=0)
        if self.fold is not None:
            longest = min(longest, max(self.fold, cell_len(self.name)))
        return max(longest, min(self.least, self.widest(cells)))

    def widest(self, cells: Sequence[Text]) -> int:
        """In which nothing of it is wrapped."""
        return max(map(cell_len, (self.name, *(cell.plain for cell in cells))))


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], width: int) -> RenderableType:
    """
    A table of no more than `width` cells. Where there is room for none, each row is a paragraph.

    Nothing is cut off: spare columns are left out, the last of them first, and all others wrapped.
    """
    texts = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    shown = list(range(len(columns)))
    for leave in [None, *reversed([place for place in shown if columns[place].spare])]:
        shown = [place for place in shown if place != leave]
        chosen = [columns[place] for place in shown]
        cells = [[row[place] for row in texts] for place in shown]
        room = width - GAP * (len(shown) - 1)
        left = room - sum(map(Column.narrowest, chosen, cells))
        if left >= 0:
            return _table(chosen, cells, left)
    return Group(*(line for row in texts for line in _paragraph(columns, row, width)))


GAP = 2
"""Cells between two columns."""


def _table(columns: Sequence[Column], cells: Sequence[Sequence[Text]], left: int) -> Table:
    """`left`: cells that no column needs; the first that can use them get them."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column, texts in zip(columns, cells, strict=True):
        narrow = column.narrowest(texts)
        more = min(column.widest(texts) - narrow, left)
        left -= more
        made.add_column(column.name, width=narrow + more, overflow="fold")
    for row in zip(*cells, strict=True):
        made.add_row(*row)
    return made


def _paragraph(columns: Sequence[Column], row: Sequence[Text], width: int) -> Iterator[Text]:
    """The first cell, and below it the names and texts of the others, as many in a line as fit."""
    yield Text(row[0].plain, style="bold", overflow="fold")
    line = Text()
    for column, cell in zip(columns[1:], row[1:], strict=True):
        part = Text.assemble((f"{column.name} ", "bold"), cell)
        if line and GAP + line.cell_len + GAP + part.cell_len > width:
            yield _indented(line)
            line = Text()
        line = Text(" " * GAP).join([line, part]) if line else part
    yield _indented(line)


def _indented(line: Text) -> Text:
    return Text.assemble(" " * GAP, line, overflow="fold")


def age_text(span: timedelta) -> str:
    """`40m`, `3h`, `2d`: as kubectl writes ages."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{int(span.total_seconds())}s"
    return (
        f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
    )
