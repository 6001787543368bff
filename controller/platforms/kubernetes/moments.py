"""Times as the API server and people write them."""

from datetime import UTC, datetime


def moment(text: str | None) -> datetime | None:
    """
    A time of the API server, or of an annotation, which may be anything; None where it cannot be read.

    One without a zone is UTC, so that all of them can be compared.
    """
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def stamp(at: datetime) -> str:
    """A time in UTC as the API server writes it, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
