"""`docs/diagnosis.md` lists the catalogue, no more and no less, and every reason people can meet."""

import re
from pathlib import Path

from controller.clients.pprof import CaptureFailure
from controller.evidence.causes import CATALOGUE, Cause
from controller.evidence.rejection import RejectionReason

PAGE = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text(encoding="utf-8")


def recognised_by(cause: Cause) -> str:
    """As the page words it."""
    parts = []
    if cause.blocked or cause.waits:
        parts.append("goroutines")
    if cause.grown:
        parts.append("calls whose memory grew")
    if cause.shapes:
        parts.append("block sizes")
    return ", ".join(parts) or "resident memory beside Go's own account"


def row(cause: Cause) -> str:
    return f"| `{cause.id}` | {cause.title} | {recognised_by(cause)} | {cause.linter} |"


def test_the_page_lists_the_catalogue():
    listed = [line for line in PAGE.splitlines() if re.match(r"\| `[a-z-]+` \|", line)]
    assert listed == [row(cause) for cause in CATALOGUE]


def test_the_page_names_every_reason():
    for reason in (*RejectionReason, *CaptureFailure):
        assert f"`{reason}`" in PAGE
