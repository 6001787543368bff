"""
State in an S3 bucket, so that any host can go on from where another stood.

Every write carries a condition that S3 itself checks (user guide, "How to prevent object overwrites with
conditional writes"): a new object `If-None-Match: *`, a changed one `If-Match` with the ETag that was read.
Of two writers one is told, whatever their clocks say.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from controller.platforms.ecs.state import Document, Kept, UnreadableDocument, parsed, rendered
from controller.ports import PlatformUnavailable

LARGEST_DOCUMENT_BYTES = 4 * 2**20
"""More than an API server would hold; a larger object is not one of ours."""
ATTEMPTS = 4
"""S3 answers 409 where another conditional write of the same key is under way (API reference, PutObject)."""


class BucketState:
    """A `StateStore`. What was read is remembered by its ETag, so that a sweep reads only what changed."""

    def __init__(self, client: BaseClient, bucket: str, prefix: str = "") -> None:
        """`prefix` is put before every key."""
        self._client: Any = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._read: dict[str, Kept] = {}
        self._etags: dict[str, str] = {}

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below `prefix`, sorted. Raises PlatformUnavailable."""
        whole = f"{self._prefix}{prefix}/"
        found: dict[str, str] = {}
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=whole
            ):
                for entry in page.get("Contents", ()):
                    if entry["Key"].endswith(".json"):
                        found[entry["Key"].removeprefix(self._prefix)] = entry["ETag"]
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error
        self._etags = {
            key: etag for key, etag in self._etags.items() if not key.startswith(f"{prefix}/")
        } | found
        self._read = {key: kept for key, kept in self._read.items() if key in self._etags}
        yield from sorted(found)

    def read(self, key: str) -> Kept | None:
        """None where there is none. Raises UnreadableDocument, PlatformUnavailable."""
        known = self._read.get(key)
        if known is not None and known.version == self._etags.pop(key, None):
            return known
        return self.read_afresh(key)

    def read_afresh(self, key: str) -> Kept | None:
        """As `read`, but never from memory."""
        try:
            got = get_object(self._client, self._bucket, self._prefix + key, LARGEST_DOCUMENT_BYTES)
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error
        if got is None:
            return None
        answer, content = got
        if answer["ContentLength"] > LARGEST_DOCUMENT_BYTES:
            raise UnreadableDocument(f"{self._place(key)} is too large to be one of ours")
        kept = Kept(parsed(content, self._place(key)), answer["ETag"])
        self._read[key] = kept
        return kept

    def create(self, key: str, document: Document) -> str | None:
        """The new document's version; None where the key is taken. Raises PlatformUnavailable."""
        return self._put(key, document, {"IfNoneMatch": "*"})

    def replace(self, key: str, document: Document, version: str) -> str | None:
        """The next version; None where another one stands there. Raises PlatformUnavailable."""
        return self._put(key, document, {"IfMatch": version})

    def remove(self, key: str) -> None:
        """Removes a document. Raises PlatformUnavailable."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error

    def _put(self, key: str, document: Document, condition: Mapping[str, str]) -> str | None:
        self._etags.pop(key, None)
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    Body=rendered(document),
                    ContentType="application/json",
                    **condition,
                )
            except ClientError as error:
                if code(error) in ("ConditionalRequestConflict", "409"):
                    continue
                if code(error) in ("PreconditionFailed", "412", "NoSuchKey", "404"):
                    return self._own(key, document)
                raise self._unavailable(error) from error
            except BotoCoreError as error:
                raise self._unavailable(error) from error
            version = str(answer["ETag"])
            self._read[key] = Kept(document, version)
            return version
        return None

    def _own(self, key: str, document: Document) -> str | None:
        """The version that stands there where we wrote it: botocore repeats a put that got no answer."""
        try:
            standing = self.read_afresh(key)
        except UnreadableDocument:
            return None
        return standing.version if standing is not None and standing.document == document else None

    def _place(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _unavailable(self, error: Exception) -> PlatformUnavailable:
        return unavailable(f"s3://{self._bucket}/{self._prefix}", error)


def get_object(client: Any, bucket: str, key: str, largest_bytes: int) -> tuple[dict[str, Any], bytes] | None:
    """S3's answer and at most so much of the content; None without it. Raises ClientError, BotoCoreError."""
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) in ("NoSuchKey", "404"):
            return None
        raise
    return answer, answer["Body"].read(largest_bytes)


def unavailable(place: str, error: Exception) -> PlatformUnavailable:
    """What S3 said, on one line."""
    return PlatformUnavailable(f"{place}: {' '.join(str(error).split())[:300]}")


def code(error: ClientError) -> str:
    """The error's code as S3 names it."""
    return str(error.response.get("Error", {}).get("Code", ""))
