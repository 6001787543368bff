"""
Evidence in an S3 bucket, encrypted with a KMS key where one is named.

`s3://<bucket>/<prefix><folder>/<name>`. S3 checks the SHA-256 of every upload; the object carries it as
metadata, with the time its content was taken, so that neither needs a download. An upload is whole or not
there at all.

Rights needed on the bucket: `s3:PutObject`, `s3:GetObject`, `s3:ListBucket`, and `s3:DeleteObject` for the
retention; on the key `kms:GenerateDataKey` and `kms:Decrypt`. Where the bucket's own lifecycle rules expire
evidence, leave `s3:DeleteObject` away: what may not be removed is logged, and evidence goes on to be kept.
"""

import base64
import hashlib
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from controller.clients.evidence_store import (
    EvidenceRefused,
    Opened,
    Stored,
    plain_parts,
)
from controller.evidence.retention import EvidenceLimits, KeptEntry, expired_folders
from controller.ports import EvidenceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_SHA256, _TAKEN_AT = "sha256", "taken-at"
_GONE = ("404", "NoSuchKey", "NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """Where in S3; `prefix` is empty or ends in a slash."""

    bucket: str
    prefix: str = ""
    kms_key_arn: str = ""
    """Empty: the bucket's own default encryption."""


def s3_client(region: str = "", endpoint_url: str = "") -> "S3Client":
    """
    A client with own credentials (IRSA, task role, environment).

    `endpoint_url` is for stores that speak S3 and are not AWS; they are asked by path, since few have a
    name for every bucket.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=15,
        retries={"mode": "standard", "total_max_attempts": 3},
        user_agent_extra="bilgepump",
        s3={"addressing_style": "path"} if endpoint_url else None,
    )
    # A session of its own: the default one is not to be made from several threads.
    session = boto3.Session(region_name=region or None)
    return session.client("s3", endpoint_url=endpoint_url or None, config=config)


class S3EvidenceStore:
    """An `EvidenceStore` in a bucket. One process writes, any number may read."""

    def __init__(self, client: "S3Client", location: S3Location, limits: EvidenceLimits) -> None:
        self._client = client
        self._bucket = location.bucket
        self._prefix = location.prefix
        self._limits = limits
        self._protected: frozenset[str] | None = None
        """Not known before `protect`."""
        self._encryption: dict[str, Any] = _encryption(location.kms_key_arn)

    def write(self, folder: str, name: str, content: bytes, now: datetime) -> Stored:
        """
        Keeps `content`. Room is made by `prune` alone: a bucket has no end, and listing it costs.

        Raises EvidenceRefused where the name is not a plain one or S3 refuses.
        """
        key, digest = self._key(folder, name), hashlib.sha256(content)
        if len(content) > self._limits.maximum_bytes:
            raise EvidenceRefused(f"{len(content)} bytes are more than the store may hold")
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                Metadata={_SHA256: digest.hexdigest(), _TAKEN_AT: now.isoformat()},
                **self._encryption,
            )
        except (BotoCoreError, ClientError) as error:
            raise EvidenceRefused(f"S3 refused: {error}") from error
        return Stored(self._uri(key), digest.hexdigest(), len(content), now)

    def copy(self, folder: str, name: str, to_folder: str) -> None:
        """Keeps a file in another folder too, taken when the first was. Raises EvidenceRefused."""
        try:
            self._client.copy_object(
                Bucket=self._bucket,
                Key=self._key(to_folder, name),
                CopySource={"Bucket": self._bucket, "Key": self._key(folder, name)},
                MetadataDirective="COPY",
                **self._encryption,
            )
        except (BotoCoreError, ClientError) as error:
            raise EvidenceRefused(f"{folder}/{name} cannot be copied: {error}") from error

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in `folder`, sorted."""
        start = self._key(folder, "x").removesuffix("x")
        found = (str(each["Key"]).removeprefix(start) for each in self._listed(start))
        return tuple(sorted(name for name in found if name and "/" not in name))

    def read(self, folder: str, name: str) -> bytes | None:
        """The content of a kept file; None where it is not kept."""
        return self._content(self._key(folder, name))

    def content(self, uri: str) -> bytes | None:
        """The content of the file that `write` called `uri`; None where it is gone or not of this store."""
        start = self._uri(self._prefix)
        return self._content(self._prefix + uri.removeprefix(start)) if uri.startswith(start) else None

    def describe(self, folder: str, name: str) -> Stored | None:
        """What a kept file is; None where it is not kept."""
        key = self._key(folder, name)
        head = _found(lambda: self._client.head_object(Bucket=self._bucket, Key=key))
        if head is None:
            return None
        told = head["Metadata"]
        taken_at = datetime.fromisoformat(told[_TAKEN_AT]) if _TAKEN_AT in told else head["LastModified"]
        return Stored(self._uri(key), told.get(_SHA256, ""), head["ContentLength"], taken_at)

    def open(self, folder: str, name: str) -> Opened | None:
        """A kept file to be read piece by piece; None where it is not kept, or its name not a plain one."""
        try:
            key = self._key(folder, name)
        except EvidenceRefused:
            return None
        answer = _found(lambda: self._client.get_object(Bucket=self._bucket, Key=key))
        return None if answer is None else Opened(answer["ContentLength"], closing(answer["Body"]))

    def protect(self, folders: Collection[str]) -> None:
        """Says which folders people still need. Until it was said nothing is ever removed."""
        self._protected = frozenset(folders)

    def prune(self, now: datetime) -> int:
        """Removes what is past its retention; how many bytes are left. Raises EvidenceUnavailable."""
        keys: dict[str, list[str]] = {}
        entries = []
        for each in self._listed(self._prefix):
            folder = str(each["Key"]).removeprefix(self._prefix).rpartition("/")[0]
            if folder:
                keys.setdefault(folder, []).append(each["Key"])
                entries.append(KeptEntry(folder, each["Size"], each["LastModified"].astimezone(UTC)))
        protected = self._protected
        gone = () if protected is None else expired_folders(entries, self._limits, now, keep=protected)
        for folder in gone:
            for key in keys[folder]:
                self._delete(key)
        return sum(entry.size_bytes for entry in entries if entry.folder not in gone)

    def _delete(self, key: str) -> None:
        # One by one: these are few an hour, and not every store that speaks S3 takes them together.
        _found(lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def _listed(self, prefix: str) -> list[Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return _found(lambda: [each for page in pages for each in page.get("Contents", [])]) or []

    def _content(self, key: str) -> bytes | None:
        def read() -> bytes:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

        return _found(read)

    def _key(self, folder: str, name: str) -> str:
        return self._prefix + "/".join(plain_parts(folder, name))

    def _uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


def _encryption(kms_key_arn: str) -> dict[str, Any]:
    if not kms_key_arn:
        return {}
    # With a bucket key S3 asks KMS once in a while, not for every object.
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_arn, "BucketKeyEnabled": True}


def _found(ask: Callable[[], T]) -> T | None:
    """What S3 answers; None where there is no such key. Raises EvidenceUnavailable."""
    try:
        return ask()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _GONE:
            return None
        raise EvidenceUnavailable(f"S3 cannot be read: {error}") from error
    except BotoCoreError as error:
        raise EvidenceUnavailable(f"S3 cannot be read: {error}") from error
