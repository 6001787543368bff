"""What only S3 has: encryption, checksums, rights, outages."""

import base64
import hashlib
import json
import re
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.clients.evidence_store import EvidenceRefused
from controller.clients.s3_evidence import S3EvidenceStore, S3Location, s3_client
from controller.evidence.retention import EvidenceLimits
from controller.ports import EvidenceUnavailable
from tests.clients.test_evidence_store import a_bucket, aws, store_client
from tests.ecs.cloud import moto_server

NOW = datetime.now(UTC)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
PERMISSIONS = Path(__file__).parents[2] / "docs" / "permissions.md"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def bucket(moto: str) -> "Bucket":
    return Bucket(moto, a_bucket(moto))


class Bucket:
    """A bucket of a test, and what S3 says of its objects."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name, self.s3 = url, name, aws("s3", url)

    def store(self, client: Any = None, **location: str) -> S3EvidenceStore:
        client = client or store_client(self.url)
        return S3EvidenceStore(client, S3Location(bucket=self.name, **location), EvidenceLimits())

    def head(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.s3.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        return found

    @property
    def keys(self) -> set[str]:
        return {each["Key"] for each in self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])}


def test_object_is_encrypted_with_the_key_and_its_copy_too(bucket: Bucket) -> None:
    store = bucket.store(kms_key_arn=KEY)
    store.write("shop/api-1", "x", b"content", NOW)
    store.copy("shop/api-1", "x", "shop/api-2")

    for key in ("shop/api-1/x", "shop/api-2/x"):
        head = bucket.head(key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY)
        assert head["BucketKeyEnabled"]


def test_without_a_key_the_bucket_decides(bucket: Bucket) -> None:
    bucket.store().write("shop/api-1", "x", b"content", NOW)

    assert "SSEKMSKeyId" not in bucket.head("shop/api-1/x")


def test_s3_knows_the_checksum(bucket: Bucket) -> None:
    bucket.store().write("shop/api-1", "x", b"content", NOW)

    known = bucket.head("shop/api-1/x")["ChecksumSHA256"]
    assert base64.b64decode(known) == hashlib.sha256(b"content").digest()


def test_keys_of_others_in_the_bucket_are_left_alone(bucket: Bucket) -> None:
    store = bucket.store(prefix="bilgepump/")
    for key in ("shop/api-1/theirs", "bilgepump/at-the-top"):
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=b"theirs")
    store.write("shop/api-1", "ours", b"ours", NOW)

    store.protect(())
    store.prune(NOW + timedelta(days=365))

    assert bucket.keys == {"shop/api-1/theirs", "bilgepump/at-the-top"}


def test_bucket_that_is_not_there_is_told(moto: str) -> None:
    store = Bucket(moto, "nobodys").store()

    with pytest.raises(EvidenceRefused, match=r"S3 refused: .*NoSuchBucket"):
        store.write("shop/api-1", "x", b"content", NOW)
    with pytest.raises(EvidenceUnavailable, match="NoSuchBucket"):
        store.names("shop/api-1")


def test_endpoint_that_does_not_answer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = Bucket(f"http://127.0.0.1:{port}", "any").store()

    with pytest.raises(EvidenceUnavailable, match="S3 cannot be read: Could not connect"):
        store.read("shop/api-1", "x")


def test_documented_rights_are_enough(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto asks its IAM; it does not ask KMS, so the key's rights are not seen here."""
    with bound_to(documented_policy(bucket.name), bucket.url, monkeypatch) as client:
        store = bucket.store(client, prefix="bilgepump/")
        store.write("shop/api-1", "x", b"content", NOW)
        store.copy("shop/api-1", "x", "shop/api-2")
        assert store.read("shop/api-2", "x") == b"content"
        assert store.describe("shop/api-2", "x")
        store.protect(())
        store.prune(NOW + timedelta(days=31))
        assert store.names("shop/api-1") == ()


def test_without_the_right_to_delete_evidence_stays_and_it_is_told(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = documented_policy(bucket.name)
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != "s3:DeleteObject"]
    with bound_to(policy, bucket.url, monkeypatch) as client:
        store = bucket.store(client, prefix="bilgepump/")
        store.write("shop/api-1", "x", b"content", NOW)
        store.protect(())
        with pytest.raises(EvidenceUnavailable, match="AccessDenied"):
            store.prune(NOW + timedelta(days=31))
        assert store.read("shop/api-1", "x") == b"content"


def documented_policy(bucket: str) -> dict[str, Any]:
    """The IAM policy of docs/permissions.md."""
    (block,) = re.findall(r"```json\n(.*?)```", PERMISSIONS.read_text(), re.DOTALL)
    policy: dict[str, Any] = json.loads(block.replace("BUCKET", bucket).replace("PREFIX", "bilgepump"))
    return policy


@contextmanager
def bound_to(policy: dict[str, Any], url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user who has this policy and no other right is who asks, in an account that looks at rights."""
    iam, name = aws("iam", url), f"controller-{uuid.uuid4().hex}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="evidence", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    _look_at_rights_after(url, "0")
    try:
        yield s3_client("eu-west-1", url)
    finally:
        _look_at_rights_after(url, "inf")


def _look_at_rights_after(url: str, calls: str) -> None:
    """So many calls moto answers without asking its IAM."""
    request = urllib.request.Request(
        f"{url}/moto-api/reset-auth", data=calls.encode(), headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request, timeout=10).close()
