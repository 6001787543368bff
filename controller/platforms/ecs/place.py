"""Where the state of `bilgepump ecs` is: a directory, or `s3://bucket/prefix`."""

import re
from dataclasses import dataclass
from pathlib import Path

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")
"""The characters that S3's user guide calls safe in keys."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """A directory."""

    path: Path

    def __str__(self) -> str:
        """As people write it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class StateBucket:
    """A bucket and what all keys begin with."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        """As people write it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


StatePlace = StateDirectory | StateBucket


def parse_place(text: str) -> StatePlace:
    """The place that `text` names. Raises ValueError, whose message says what is allowed."""
    if not text.startswith("s3://"):
        if "://" in text or not text.strip():
            raise ValueError(f"must be a directory or s3://BUCKET/PREFIX (is '{text}')")
        return StateDirectory(Path(text))
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"must name a bucket by the rules of S3, as s3://BUCKET/PREFIX (is '{text}')")
    if not _PREFIX.fullmatch(prefix) or "//" in prefix or ".." in prefix:
        raise ValueError(f"must have a plain prefix, such as s3://{bucket}/bilgepump (is '{text}')")
    return StateBucket(bucket, prefix.strip("/"))
