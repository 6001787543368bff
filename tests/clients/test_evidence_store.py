"""What every store does, over a real directory and over S3 (moto's server, boto3 over HTTP)."""

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from controller.clients.evidence_store import EvidenceRefused, EvidenceStore
from controller.clients.s3_evidence import S3EvidenceStore, S3Location, s3_client
from controller.clients.volume_evidence import VolumeEvidenceStore
from controller.evidence.retention import EvidenceLimits
from tests.ecs.cloud import a_client, moto_server

NOW = datetime.now(UTC)
LIMITS = EvidenceLimits(maximum_bytes=1000, maximum_age=timedelta(days=30), maximum_baselines=2)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=["volume", "S3", "S3 with a prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> EvidenceStore:
    if request.param == "volume":
        return VolumeEvidenceStore(tmp_path, LIMITS)
    url = request.getfixturevalue("moto")
    prefix = "" if request.param == "S3" else "prod/eu/"
    return S3EvidenceStore(store_client(url), S3Location(bucket=a_bucket(url), prefix=prefix), LIMITS)


@pytest.fixture
def swept(store: EvidenceStore) -> EvidenceStore:
    """The store once a sweep has said that nothing in it is needed any more."""
    store.protect(())
    return store


@cache
def store_client(url: str) -> Any:
    """As the controller makes it, once for all tests."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "test")
        return s3_client("eu-west-1", url)


def a_bucket(url: str) -> str:
    """A new one."""
    name = f"evidence-{uuid.uuid4().hex}"
    aws("s3", url).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@cache
def aws(service: str, url: str) -> Any:
    """The test's own client: it is slow to make."""
    return a_client(service, url)


def test_file_is_kept_whole_with_its_hash(store: EvidenceStore) -> None:
    stored = store.write("shop/api-1", "late-heap.pb.gz", b"content", NOW)

    assert stored.sha256 == hashlib.sha256(b"content").hexdigest()
    assert stored.size_bytes == 7
    assert stored.uri.endswith("/shop/api-1/late-heap.pb.gz")
    assert store.content(stored.uri) == b"content"
    assert store.read("shop/api-1", "late-heap.pb.gz") == b"content"
    assert store.describe("shop/api-1", "late-heap.pb.gz") == stored
    assert store.names("shop/api-1") == ("late-heap.pb.gz",)


def test_file_that_is_written_again_is_the_new_one(store: EvidenceStore) -> None:
    store.write("shop/api-1", "report.html", b"first", NOW)
    store.write("shop/api-1", "report.html", b"second", NOW)

    assert store.read("shop/api-1", "report.html") == b"second"


def test_what_is_not_kept_is_not_there(store: EvidenceStore) -> None:
    uri = store.write("shop/api-1", "x", b"", NOW).uri

    assert store.names("shop/api") == store.names("shop") == ()
    assert store.read("shop/api-1", "y") is store.describe("shop/api-1", "y") is None
    assert store.open("shop/api-1", "y") is store.open("shop/api-1/x", "y") is None
    assert store.content(f"{uri}y") is None


def test_file_is_read_piece_by_piece(store: EvidenceStore) -> None:
    store.write("shop/api-1", "x", b"0123456789", NOW)

    opened = store.open("shop/api-1", "x")

    assert opened is not None
    assert opened.size_bytes == 10
    with opened.content as content:
        assert [content.read(4), content.read(4), content.read(4), content.read(4)] == [
            b"0123",
            b"4567",
            b"89",
            b"",
        ]


def test_copy_is_as_old_as_its_original_and_as_whole(store: EvidenceStore) -> None:
    taken_at = NOW - timedelta(days=3)
    original = store.write("baselines/shop/abc-app", "baseline-heap.pb.gz", b"heap", taken_at)

    store.copy("baselines/shop/abc-app", "baseline-heap.pb.gz", "shop/api-1")

    copied = store.describe("shop/api-1", "baseline-heap.pb.gz")
    assert copied is not None
    assert (copied.sha256, copied.taken_at) == (original.sha256, taken_at)
    assert store.read("shop/api-1", "baseline-heap.pb.gz") == b"heap"


def test_copy_of_nothing_is_refused(store: EvidenceStore) -> None:
    with pytest.raises(EvidenceRefused):
        store.copy("shop/api-1", "x", "shop/api-2")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("../elsewhere", "x"),
        ("shop", "../x"),
        ("shop", "a/b"),
        ("shop//api", "x"),
        ("shop", ""),
        ("shop", ".x"),
        ("", "x"),
    ],
)
def test_name_that_leads_elsewhere_is_refused(store: EvidenceStore, folder: str, name: str) -> None:
    with pytest.raises(EvidenceRefused, match="plain file name"):
        store.write(folder, name, b"content", NOW)
    assert store.open(folder, name) is None


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "file:///../../etc/passwd", "s3://bucket/key", "s3://evidence", ""]
)
def test_uri_of_another_place_has_no_content(store: EvidenceStore, uri: str) -> None:
    assert store.content(uri) is None


def test_content_larger_than_the_store_is_refused(store: EvidenceStore) -> None:
    with pytest.raises(EvidenceRefused, match="more than the store may hold"):
        store.write("shop/api-1", "x", b"0" * 1001, NOW)


def test_what_is_too_old_goes_whole_and_baselines_stay(swept: EvidenceStore) -> None:
    store = swept
    store.write("shop/api-1", "report.html", b"0", NOW)
    store.write("shop/api-1", "late-heap.pb.gz", b"0", NOW)
    store.write("baselines/shop/abc-app", "baseline-heap.pb.gz", b"0", NOW)

    store.prune(NOW + timedelta(days=29))
    assert store.names("shop/api-1")
    store.prune(NOW + timedelta(days=31))

    assert store.names("shop/api-1") == ()
    assert store.names("baselines/shop/abc-app") == ("baseline-heap.pb.gz",)


def test_what_is_still_needed_stays_however_old_it_is(store: EvidenceStore) -> None:
    store.write("shop/open-1", "late-heap.pb.gz", b"0", NOW)
    store.write("shop/closed-1", "late-heap.pb.gz", b"0", NOW)
    store.protect(["shop/open-1"])

    assert store.prune(NOW + timedelta(days=365)) == 1

    assert store.names("shop/open-1") == ("late-heap.pb.gz",)
    assert store.names("shop/closed-1") == ()

    store.protect([])
    assert store.prune(NOW + timedelta(days=365)) == 0


def test_nothing_goes_before_it_is_known_what_is_still_needed(store: EvidenceStore) -> None:
    store.write("shop/api-1", "late-heap.pb.gz", b"0", NOW)

    assert store.prune(NOW + timedelta(days=365)) == 1

    assert store.names("shop/api-1") == ("late-heap.pb.gz",)


def test_baselines_are_bounded(swept: EvidenceStore) -> None:
    store = swept
    for number in range(4):
        store.write(f"baselines/shop/{number}-app", "baseline-heap.pb.gz", b"0", NOW)

    store.prune(NOW + timedelta(minutes=1))

    assert sum(bool(store.names(f"baselines/shop/{number}-app")) for number in range(4)) == 2


class TestVolume:
    def test_oldest_go_first_when_room_is_needed(self, tmp_path: Path) -> None:
        store = VolumeEvidenceStore(tmp_path, LIMITS)
        store.protect(())
        for name, age in (("old", 3), ("older", 5), ("new", 1)):
            store.write(f"shop/{name}", "x", b"0" * 300, NOW - timedelta(days=age))

        store.write("shop/newest", "x", b"0" * 300, NOW)

        assert {path.name for path in (tmp_path / "shop").iterdir()} == {"old", "new", "newest"}

    def test_what_is_needed_makes_room_last(self, tmp_path: Path) -> None:
        store = VolumeEvidenceStore(tmp_path, LIMITS)
        store.protect(["shop/open"])
        for name, age in (("open", 5), ("closed", 1)):
            store.write(f"shop/{name}", "x", b"0" * 400, NOW - timedelta(days=age))

        store.write("shop/newest", "x", b"0" * 300, NOW)

        assert {path.name for path in (tmp_path / "shop").iterdir()} == {"open", "newest"}

    def test_no_room_is_made_before_it_is_known_what_is_still_needed(self, tmp_path: Path) -> None:
        store = VolumeEvidenceStore(tmp_path, LIMITS)
        store.write("shop/api-1", "x", b"0" * 900, NOW)

        with pytest.raises(EvidenceRefused, match="no room: 900 bytes are kept already"):
            store.write("shop/api-2", "x", b"0" * 300, NOW)
        assert store.names("shop/api-1") == ("x",)

    def test_incident_that_alone_fills_the_volume_is_told(self, tmp_path: Path) -> None:
        store = VolumeEvidenceStore(tmp_path, LIMITS)
        store.protect(())
        store.write("shop/api-1", "x", b"0" * 900, NOW)

        with pytest.raises(EvidenceRefused, match="no room: 900 bytes are kept already in shop/api-1"):
            store.write("shop/api-1", "y", b"0" * 101, NOW)

    def test_nothing_is_left_of_a_write_that_failed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(EvidenceRefused, match="the evidence volume refused: No space left"):
            VolumeEvidenceStore(tmp_path, LIMITS).write("shop/api-1", "x", b"content", NOW)
        assert list((tmp_path / "shop" / "api-1").iterdir()) == []

    def test_volume_that_refuses_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "shop").write_text("a file where a folder should be")

        with pytest.raises(EvidenceRefused, match="the evidence volume refused"):
            VolumeEvidenceStore(tmp_path, LIMITS).write("shop/api-1", "x", b"content", NOW)

    def test_link_out_of_the_volume_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("not evidence")
        store = VolumeEvidenceStore(tmp_path / "store", LIMITS)
        store.write("shop/api-1", "x", b"content", NOW)
        (tmp_path / "store" / "shop" / "api-1" / "link").symlink_to(tmp_path / "secret")

        assert store.open("shop/api-1", "link") is None
