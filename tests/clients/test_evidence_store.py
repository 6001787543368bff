import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.clients.evidence_store import EvidenceRefused, VolumeEvidenceStore

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def a_store(folder: Path, **limits: object) -> VolumeEvidenceStore:
    chosen = {"maximum_bytes": 1000, "maximum_age": timedelta(days=30), **limits}
    return VolumeEvidenceStore(folder, **chosen)  # type: ignore[arg-type]


def aged(path: Path, age: timedelta) -> None:
    stamp = (NOW - age).timestamp()
    os.utime(path, (stamp, stamp))


def test_file_is_kept_whole_with_its_hash(tmp_path: Path) -> None:
    stored = a_store(tmp_path).write("shop/api-1", "late-heap.pb.gz", b"content", NOW)

    assert stored.sha256 == hashlib.sha256(b"content").hexdigest()
    assert a_store(tmp_path).content(stored.uri) == b"content"
    assert [path.name for path in (tmp_path / "shop" / "api-1").iterdir()] == ["late-heap.pb.gz"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("../elsewhere", "x"), ("shop", "../x"), ("shop", "a/b"), ("shop//api", "x"), ("shop", "")],
)
def test_name_that_leads_elsewhere_is_refused(tmp_path: Path, folder: str, name: str) -> None:
    with pytest.raises(EvidenceRefused, match="plain file name"):
        a_store(tmp_path).write(folder, name, b"content", NOW)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "file:///../../etc/passwd", "s3://bucket/key", ""])
def test_uri_of_another_place_has_no_content(tmp_path: Path, uri: str) -> None:
    assert a_store(tmp_path).content(uri) is None


def test_content_larger_than_the_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceRefused, match="more than the store may hold"):
        a_store(tmp_path).write("shop", "x", b"0" * 1001, NOW)


def test_oldest_go_first_when_room_is_needed(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    for name, age in (("old", 3), ("older", 5), ("new", 1)):
        store.write("shop", name, b"0" * 300, NOW)
        aged(tmp_path / "shop" / name, timedelta(days=age))

    store.write("shop", "newest", b"0" * 300, NOW)

    assert store.names("shop") == ("new", "newest", "old")


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.write("shop", "x", b"0", NOW)
    aged(tmp_path / "shop" / "x", timedelta(days=31))

    store.prune(NOW)

    assert store.names("shop") == ()


def test_volume_that_refuses_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file where a folder should be")

    with pytest.raises(EvidenceRefused, match="the evidence volume refused"):
        a_store(tmp_path).write("shop", "x", b"content", NOW)
