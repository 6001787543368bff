"""What every kind of receiver is to the courier: it makes a request of a message and reads the answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from controller.reporting.messages import Message

LARGEST_SECRET_BYTES = 16 * 1024


class CannotTell(Exception):
    """The message cannot be told like this, now or later; the reason holds no secret."""


class TryLater(Exception):
    """It may work later; the reason holds no secret."""

    def __init__(self, why: str, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One POST."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; the body is cut off at 64 KiB, and where the connection broke."""

    status: int
    body: bytes = field(default=b"", repr=False)
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message with its texts, and the same for programs."""

    message: Message
    title: str
    text: str
    document: Mapping[str, Any]


class Target(Protocol):
    """One receiver."""

    def request(self, letter: Letter, now: datetime) -> Request | None:
        """The request; None where this receiver has nothing to be told. Raises CannotTell, TryLater."""
        ...

    def thread(self, answer: Answer) -> str:
        """
        What the platform calls the conversation, from its answer of a success; empty where it has none.

        Raises CannotTell, TryLater where a success is none.
        """
        ...


def read_secret(path: Path) -> str:
    """The one line in a file. Raises TryLater where it is not there (yet)."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TryLater(f"{path} cannot be read: {type(error).__name__}") from None
    if not content or not re.fullmatch(r"[\x21-\x7e]+", content):
        raise TryLater(f"{path} must hold one line of text without blanks")
    return content


def judge_status(answer: Answer) -> None:
    """Raises TryLater or CannotTell unless the status is one of success."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise TryLater(f"HTTP {status}", answer.retry_after)
    if 300 <= status < 400:
        raise CannotTell(f"HTTP {status}: redirects are not followed")
    raise CannotTell(f"HTTP {status}")
