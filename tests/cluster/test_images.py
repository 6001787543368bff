"""Image archives are deterministic, complete and what a container runtime expects."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.images import ImageConfig, static_binary_image, write_archive, write_layer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "share" / "doc").mkdir(parents=True)
    (root / "share" / "doc" / "manual").write_text("long")
    (root / "bin" / "program").write_bytes(b"\x7fELF")
    (root / "bin" / "program").chmod(0o755)
    (root / "bin" / "alias").symlink_to("program")
    os.link(root / "bin" / "program", root / "bin" / "twin")
    return root


def members(tar: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tar) as opened:
        return {member.name: member for member in opened}


def read(tar: Path, name: str) -> bytes:
    with tarfile.open(tar) as opened:
        content = opened.extractfile(name)
        assert content is not None
        return content.read()


def read_json(tar: Path, name: str) -> Any:
    return json.loads(read(tar, name))


def test_equal_trees_give_equal_layers_whatever_their_times(tree: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    write_layer(first, tree)
    for path in tree.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    write_layer(second, tree)
    assert first.read_bytes() == second.read_bytes()


def test_a_layer_keeps_modes_and_links(tree: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_layer(layer, tree)
    found = members(layer)
    assert found["bin/program"].mode == 0o755
    assert found["bin/alias"].linkname == "program"
    assert read(layer, "bin/twin") == read(layer, "bin/program") == b"\x7fELF"


def test_a_prefix_comes_with_its_parent_folders(tree: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_layer(layer, tree, prefix="opt/app")
    found = members(layer)
    assert found["opt"].isdir()
    assert found["opt/app"].isdir()
    assert found["opt/app/bin/program"].isreg()


def test_what_is_not_kept_is_left_out_with_all_below(tree: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    write_layer(layer, tree, keep=lambda name: name != "share/doc")
    found = members(layer)
    assert "share" in found
    assert not [name for name in found if name.startswith("share/doc")]


def test_an_archive_names_its_layers_by_their_content(tree: Path, tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower.tar", tmp_path / "upper.tar"
    write_layer(lower, tree)
    write_layer(upper, tree, prefix="opt")
    archive = tmp_path / "image.tar"
    config = ImageConfig(entrypoint=("/bin/program",), environment={"A": "1"})
    write_archive(archive, tag="example.com/app:1", config=config, layers=[lower, upper])

    (manifest,) = read_json(archive, "manifest.json")
    document = read_json(archive, manifest["Config"])
    layers = [read(archive, name) for name in manifest["Layers"]]
    assert manifest["RepoTags"] == ["example.com/app:1"]
    assert layers == [lower.read_bytes(), upper.read_bytes()]
    assert document["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]
    assert document["config"]["Entrypoint"] == ["/bin/program"]
    assert document["config"]["Env"] == ["A=1"]
    assert document["config"]["User"] == "65532:65532"


def test_the_image_of_a_program_runs_it(tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    static_binary_image(archive, tree / "bin" / "program", tag="example.com/app:1", arguments=("-v",))
    (manifest,) = read_json(archive, "manifest.json")
    assert read_json(archive, manifest["Config"])["config"]["Entrypoint"] == ["/program", "-v"]
    with tarfile.open(fileobj=io.BytesIO(read(archive, manifest["Layers"][0]))) as layer:
        assert layer.getmember("program").mode == 0o755
        assert layer.getmember("tmp").mode == 0o1777
    assert [path.name for path in tmp_path.glob("image*")] == ["image.tar"]
