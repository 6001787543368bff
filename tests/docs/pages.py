"""The pages people read, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = (
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    REPOSITORY / "charts" / "bilgepump" / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(*languages: str) -> Iterator[Block]:
    """All blocks of these languages."""
    for page in PAGES:
        yield from (block for block in blocks_of(page) if block.language in languages)


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of one page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent, language, content = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, language, re.sub(f"^{indent}", "", content, flags=re.MULTILINE))
